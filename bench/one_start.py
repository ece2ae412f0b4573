"""One cold start for cold_start.py: import a handler in this process, answer requests, print the figures as JSON.

Run as `one_start.py HANDLER STARTED EVENTS` by an interpreter that finds the package and nothing else; STARTED is the
system's monotonic clock when the process was started. The first of the EVENTS, a JSON list, is timed; the
memory is the process's peak when all are answered.
"""

import sys
import time

started = float(sys.argv[2])
python = time.monotonic() - started

import importlib  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
from pathlib import Path  # noqa: E402

handler = importlib.import_module(sys.argv[1]).handler
imported = time.monotonic()
events = json.loads(sys.argv[3])
answer = handler(events[0], None)
answered = time.monotonic()
usage = resource.getrusage(resource.RUSAGE_SELF)
for event in events[1:]:
    answer = handler(event, None)
if answer["statusCode"] != 200:
    sys.exit(answer["body"])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))

import boto3  # noqa: E402

again = time.monotonic()
boto3.Session().client("dynamodb")  # as after a SnapStart restore, when all is imported
print(
    json.dumps(
        {
            "total": answered - started,
            "python": python,
            "load": imported - started - python,
            "request": answered - imported,
            "CPU": usage.ru_utime + usage.ru_stime,
            "client": time.monotonic() - again,
            "MB": int(peak.split()[1]) * 1024 / 1e6,
        }
    )
)
