"""Time cold starts: a new process each, from its start to its first answer, packages side by side.

Word vectors come from the local cloud, with the sample of GloVe. Every round starts each package once, and as floors
the two imports that no PyTorch function goes without, so that ratios hold on a busy machine. Packages are unzipped
before, as Lambda has done when a process starts; files are in the page cache, as a first round is not counted.

Medians in seconds. `unpack` is the wait for libtorch_cpu.so, `import` all modules, `client` making the DynamoDB
client, `model` reading the model file, `request` the first request; the rest of `total` is Python's own start. MB of
memory: the process at its peak, and libtorch_cpu.so unpacked to memory.

Example:
  python bench/cold_start.py build/torch/kim_cnn.zip build/onnx/kim_cnn.zip --rounds 9
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from toolkit.deployment.local_cloud import ROOT, local_cloud

FLOORS = {"import torch": "import torch", "boto3 client": "import boto3; boto3.client('dynamodb')"}
PARTS = ("unpack", "import", "client", "model", "request")
COLUMNS = ("total", *PARTS, "resident", "unpacked")


def unzip(packages: list[Path], folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield a name, the handler and the unzipped folder of each package."""
    for number, package in enumerate(packages):
        task = folder / str(number)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(task)
        yield f"{package.parent.name}/{package.stem}", next(task.glob("*_handler.py")).stem, task


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path, metavar="ZIP", help="packages for this machine's Python")
    parser.add_argument("--rounds", type=int, default=9, help="starts of each that count (default: 9)")
    parser.add_argument("--port", type=int, default=4599, help="where the local cloud listens (default: 4599)")
    arguments = parser.parse_args()
    seconds: dict[str, list[dict[str, float]]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as temporary,
        local_cloud(arguments.port, Path(temporary) / "log") as environment,
    ):
        folder = Path(temporary)
        boto3 = folder / "boto3"  # what Lambda's runtime brings
        pins = [line for line in (ROOT / "requirements.txt").read_text().split() if line.startswith("boto3==")]
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--target", boto3, *pins, pins[0].replace("boto3", "botocore")], check=True)
        upload = [sys.executable, ROOT / "utils/upload_word_vectors_to_dynamo.py", "--create-table"]
        sample = ROOT / "data/glove.6B.50d.sample.txt.gz"
        subprocess.run([*upload, sample, "word-vectors"], env=environment, check=True, capture_output=True)
        starts = list(unzip(arguments.packages, folder))
        interpreter = str(Path(sys.base_prefix) / "bin" / Path(sys.executable).resolve().name)
        for round_number in tqdm(range(arguments.rounds + 1), disable=None, unit="round"):
            for name, code in FLOORS.items():
                began = time.monotonic()
                subprocess.run([sys.executable, "-c", code], env=environment, check=True)
                if round_number:
                    seconds[name].append({"total": time.monotonic() - began})
            for name, handler, task in starts:
                result = subprocess.run(
                    [interpreter, "-S", "-B", ROOT / "bench/one_start.py", handler, str(time.monotonic())],
                    env={**environment, "PYTHONPATH": f"{task}{os.pathsep}{boto3}"},
                    check=True,
                    stdout=subprocess.PIPE,
                )
                if round_number:
                    seconds[name].append(json.loads(result.stdout))
    median = {
        name: {column: statistics.median(run.get(column, 0.0) for run in runs) for column in COLUMNS}
        for name, runs in seconds.items()
    }
    floor = sum(median[name]["total"] for name in FLOORS)
    print(f"{'':<20}" + "".join(f"{column:>10}" for column in COLUMNS) + f"{'÷ floors':>10}")
    for name, row in median.items():
        cells = "".join(f"{row[column]:>10.{0 if column in COLUMNS[-2:] else 3}f}" for column in COLUMNS)
        print(f"{name:<20}{cells}{row['total'] / floor:>10.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
