"""One cold start for cold_start.py: import a handler in this process, answer one request, print the figures as JSON.

Run as `one_start.py HANDLER STARTED EVENT` by an interpreter that finds the package and nothing else; STARTED is the
system's monotonic clock when the process was started.
"""

import sys
import time

started = float(sys.argv[2])
python = time.monotonic() - started

import importlib  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402

handler = importlib.import_module(sys.argv[1]).handler
imported = time.monotonic()
answer = handler(json.loads(sys.argv[3]), None)
answered = time.monotonic()
if answer["statusCode"] != 200:
    sys.exit(answer["body"])
usage = resource.getrusage(resource.RUSAGE_SELF)

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
            "MB": usage.ru_maxrss * 1024 / 1e6,
        }
    )
)
