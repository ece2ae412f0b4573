"""Time cold starts: a new process each, from its start to its first answer, packages side by side.

    make package   # builds for this machine's Python
    python bench/cold_start.py build/torch/kim_cnn.zip build/onnx/kim_cnn.zip > bench/results/cold_start.txt

Every round starts each package once, and as floors the two imports that a PyTorch function needs, so that ratios hold
on a busy machine. `stub_server.py` stands in for DynamoDB. Packages are unzipped before, as Lambda does before it
starts a process; the first round, which fills the page cache, does not count. The folders of PYTHONPATH come after a
package.

Prints medians in seconds: `total` is `python` (the interpreter), `load` (importing the handler, which loads the model)
and `request`. `CPU` is of all threads. `client` is a new DynamoDB client once all is imported, as after a SnapStart
restore. `MB` is the process's peak of memory.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

from stub_server import stub_server
from tqdm import tqdm

from toolkit import cli

ONE_START = Path(__file__).with_name("one_start.py")
EVENTS = {
    "sm_handler": {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"},
    "kim_handler": {"input": "this is a very good movie"},
}
FLOORS = {"import torch": "import torch", "boto3 client": "import boto3; boto3.client('dynamodb')"}
COLUMNS = ("total", "python", "load", "request", "CPU", "client", "MB")


def start(python: str, folder: Path) -> dict[str, float]:
    """Start the function of an unzipped package; return its figures."""
    handler = next(folder.glob("*_handler.py")).stem
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    command: list[str | Path] = [
        python,
        "-S",
        "-B",
        ONE_START,
        handler,
        str(time.monotonic()),
        json.dumps(EVENTS[handler]),
    ]
    environment = {**os.environ, "PYTHONPATH": path, "WORD_VECTORS_TABLE": "50-float32", "LOG_LEVEL": "CRITICAL"}
    figures: dict[str, float] = json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    )
    return figures


def main() -> None:
    """Measure; print the table."""
    parser = cli.parser(__doc__)
    parser.add_argument("packages", nargs="+", type=Path, metavar="ZIP", help="packages for this machine's Python")
    parser.add_argument("--rounds", type=int, default=9, help="starts of each that count (default: 9)")
    options = parser.parse_args()
    python = str(Path(sys.base_prefix) / "bin" / Path(sys.executable).resolve().name)  # without the packages of .venv
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
                began = time.monotonic()
                subprocess.run([sys.executable, "-c", code], check=True)
                figures[name] = {"total": time.monotonic() - began}
            for name, folder in folders.items():
                figures[name] = start(python, folder)
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
