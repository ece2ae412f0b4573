"""Time cold starts: a new process each, from its start to its first answer, packages side by side.

    make package   # builds for this machine's Python
    python bench/cold_start.py build/torch/kim_cnn.zip build/onnx/kim_cnn.zip > bench/results/cold_start.txt

Every round starts each package once, and as floors the two imports that a PyTorch function needs, so that ratios hold
on a busy machine. `stub_server.py` stands in for DynamoDB. Packages are unzipped before, as Lambda does before it
starts a process; the first round, which fills the page cache, does not count. The folders of PYTHONPATH come after a
package. With --tail each request has a word more that no package holds, so that the table is read.

Prints medians in seconds: `total` is `python` (the interpreter), `load` (importing the handler, which loads the model)
and `request`. `CPU` is of all threads. `client` is a new DynamoDB client once all is imported, as after a SnapStart
restore. `MB` is the process's peak of memory.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from stub_server import stub_server
from tqdm import tqdm

from toolkit import cli

Event = dict[str, str]

ONE_START = Path(__file__).with_name("one_start.py")
EVENTS = {
    "sm_handler": {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"},
    "kim_handler": {"input": "this is a very good movie"},
}
FLOORS = {"import torch": "import torch", "boto3 client": "import boto3; boto3.client('dynamodb')"}
COLUMNS = ("total", "python", "load", "request", "CPU", "client", "MB")


PYTHON = str(Path(sys.base_prefix) / "bin" / Path(sys.executable).resolve().name)  # without the packages of .venv
TAIL = " snarkleberry"


def with_tail(event: Event) -> Event:
    """Return an event with one word more, which no package holds."""
    *_, last = event
    return {**event, last: event[last] + TAIL}


def start(folder: Path, events: Sequence[Event]) -> dict[str, float]:
    """Start the function of an unzipped package, and let it answer events; return its figures."""
    handler = next(folder.glob("*_handler.py")).stem
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    command: list[str | Path] = [
        PYTHON,
        "-S",
        "-B",
        ONE_START,
        handler,
        str(time.monotonic()),
        json.dumps(events),
    ]
    environment = {**os.environ, "PYTHONPATH": path, "WORD_VECTORS_TABLE": "50-float32", "LOG_LEVEL": "CRITICAL"}
    figures: dict[str, float] = json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    )
    return figures


def run_code(code: str) -> dict[str, float]:
    """Run code in a new process; return its figures."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    total, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"total": total, "CPU": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main() -> None:
    """Measure; print the table."""
    parser = cli.parser(__doc__)
    parser.add_argument("packages", nargs="+", type=Path, metavar="ZIP", help="packages for this machine's Python")
    parser.add_argument("--rounds", type=int, default=9, help="starts of each that count (default: 9)")
    parser.add_argument("--tail", action="store_true", help="ask for one word more, which no package holds")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary, stub_server():
        folders: dict[str, Path] = {}
        for package in options.packages:
            folder = folders[str(package)] = Path(temporary) / str(len(folders))
            with zipfile.ZipFile(package) as archive:
                archive.extractall(folder)
        for counted in tqdm(range(-1, options.rounds), disable=None, unit="round"):
            figures = {}
            for name, code in FLOORS.items():
                figures[name] = run_code(code)
            for name, folder in folders.items():
                event = EVENTS[next(folder.glob("*_handler.py")).stem]
                figures[name] = start(folder, [with_tail(event) if options.tail else event])
            for name in figures if counted >= 0 else ():
                runs[name].append(figures[name])
    floors = sum(statistics.median(run["total"] for run in runs[name]) for name in FLOORS)
    width = max(map(len, runs))
    print(f"{'':<{width}}" + "".join(f"{column:>9}" for column in COLUMNS) + f"{'÷ floors':>10}")
    for name, counted_runs in runs.items():
        medians = {c: statistics.median(run[c] for run in counted_runs) for c in counted_runs[0]}
        cells = (f"{medians[column]:.{0 if column == 'MB' else 3}f}" if column in medians else "" for column in COLUMNS)
        print(f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells) + f"{medians['total'] / floors:>10.2f}")


if __name__ == "__main__":
    main()
