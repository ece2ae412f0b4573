"""Run batches of growing size on the local cloud: how long each takes, and the memory of the command.

    SERVERLESS_INFERENCE_DATA=data python bench/batch_growth.py                # 10,000 to 1,000,000 rows, half an hour
    SERVERLESS_INFERENCE_DATA=data python bench/batch_growth.py 3000 --port 4567

The rows are sentences in random order, each with a number; Kim CNN scores them in two functions at once. Emulator,
functions and command share this machine's processors. Linux only.
"""

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import workload
from workload import ROOT

from toolkit.deployment.local_cloud import local_cloud

STACK, FUNCTIONS = "growth", 2
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
SECONDS_BETWEEN_SAMPLES = 0.5


class Ran(NamedTuple):
    """What a batch took."""

    sending: float  # seconds
    scoring: float
    collecting: float
    memory: list[float]  # MB, the most in each quarter of the time
    summary: str


def write_rows(path: Path, count: int) -> None:
    """Write a CSV of so many rows."""
    drawn, sentences = random.Random(0), workload.sentences()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([number, drawn.choice(sentences)] for number in range(count))


def memory_of(process: subprocess.Popen[str]) -> list[float]:
    """Return the MB that a process holds, sampled until it ends."""
    samples, ended = [], threading.Event()
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        samples += [int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmRSS")]
        ended.wait(SECONDS_BETWEEN_SAMPLES)
    return samples


def run(environment: dict[str, str], source: Path, output: Path) -> Ran:
    """Score the rows of a file; its objects in the bucket say when it was sent and scored."""
    client = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], None, environment["AWS_DEFAULT_REGION"]
    ).client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
    command: list[str | Path] = [sys.executable, ROOT / "utils/batch.py", "run", source, output]
    options = ["--model", "kim_cnn", "--stack", STACK, "--yes", "--keep", "--quiet"]
    began = datetime.now(UTC)
    with subprocess.Popen([*command, *options], env=environment, text=True, stderr=subprocess.PIPE) as process:
        samples = memory_of(process)
        _, said = process.communicate()
    ended = datetime.now(UTC)
    if process.returncode:
        raise RuntimeError(said)
    bucket = next(each["Name"] for each in client.list_buckets()["Buckets"] if each["Name"].startswith(STACK))
    objects: list[dict[str, Any]] = [
        each
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for each in page.get("Contents", [])
    ]
    sent, scored = (
        max(each["LastModified"] for each in objects if kind in each["Key"]) for kind in ("/parts/", "/results/")
    )
    for each in objects:
        client.delete_object(Bucket=bucket, Key=each["Key"])
    quarter = -(-len(samples) // 4)
    return Ran(
        (sent - began).total_seconds(),
        (scored - sent).total_seconds(),
        (ended - scored).total_seconds(),
        [max(samples[start : start + quarter]) for start in range(0, len(samples), quarter)],
        said.splitlines()[-1],
    )


def deploy(environment: dict[str, str], folder: Path) -> None:
    """Make the table and the stack."""
    package = folder / "kim_cnn.zip"
    vectors = ROOT / "data/kim_cnn.vectors.txt.gz"
    options = ["--parameter", "Batch=on", "--parameter", f"BatchConcurrency={FUNCTIONS}"]
    commands: list[list[str | Path]] = [
        [sys.executable, ROOT / "utils/upload_word_vectors_to_dynamo.py", vectors, "kim-vectors", "--create-table"],
        [ROOT / "utils/create_deployment_package.sh", "kim_cnn", "--runtime", "none", "--output", package],
        [sys.executable, ROOT / "utils/deploy.py", "up", "--stack", STACK, "--kim-cnn", package, *options],
    ]
    for command in commands:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure; print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--port", type=int, default=4566)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with local_cloud(arguments.port, folder / "cloud.log") as environment:
            deploy(environment, folder)
            head = ["rows", "reading and sending, s", "scoring, s", "collecting, s", "rows a second", "MB by quarters"]
            print(f"Kim CNN 50-d, {FUNCTIONS} functions, {workload.source()}.\n\n{workload.table(head, [])}")
            for rows in arguments.rows:
                source, output = folder / "in.csv", folder / f"{rows}.csv"
                write_rows(source, rows)
                ran = run(environment, source, output)
                whole = ran.sending + ran.scoring + ran.collecting
                memory = ", ".join(f"{most:.0f}" for most in ran.memory)
                seconds = [f"{each:.0f}" for each in (ran.sending, ran.scoring, ran.collecting)]
                print(f"| {rows:,} | {' | '.join(seconds)} | {rows / whole:,.0f} | {memory} |", flush=True)
                print(ran.summary, file=sys.stderr)


if __name__ == "__main__":
    main()
