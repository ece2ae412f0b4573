"""Run batches of growing size on the local cloud: how long each takes, and the memory of the command; compute the rest.

    SERVERLESS_INFERENCE_DATA=data python bench/batch_growth.py                # 10,000 to 1,000,000 rows, half an hour
    SERVERLESS_INFERENCE_DATA=data python bench/batch_growth.py 3000 --port 4567

The rows are sentences in random order, each with a number; Kim CNN scores them in two functions at once. Emulator,
functions and command share this machine's processors. Linux only.

The second table is for AWS, and computed: from the CPU time of the command in the largest batch, from what a row takes
a function (bench/results/durations.json), from how the distinct words grow with the texts of TrecQA's training data,
and from prices. Each function reads its words for itself, so more functions score sooner and read more.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import numpy as np
import workload
from workload import ROOT

from inference.tokenizer import tokenize
from toolkit.batch import PART_ROWS, Done, dollars
from toolkit.deployment.local_cloud import local_cloud
from toolkit.vectors.guards import READ_UNITS

STACK, FUNCTIONS = "growth", 2
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
SECONDS_BETWEEN_SAMPLES = 0.5

COMPUTED_SIZES = (1_000_000, 3_000_000, 10_000_000)
# BatchConcurrency, and read units that the table serves a second: the defaults; a new table without a bound; as far as
# the default quotas of Lambda (1,000, of which 100 stay unreserved) and of DynamoDB go.
SETTINGS = ((10, READ_UNITS), (10, 12_000), (100, 12_000), (900, 40_000))
UNITS_PER_WORD = 0.5
MOST_WORDS = 400_000  # of GloVe 6B


class Ran(NamedTuple):
    """What a batch took."""

    sending: float  # seconds
    scoring: float
    collecting: float
    cpu: float  # seconds of the command
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


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(environment: dict[str, str], s3: Any, source: Path, output: Path) -> Ran:
    """Score the rows of a file; its objects in the bucket say when it was sent and scored."""
    command: list[str | Path] = [sys.executable, ROOT / "utils/batch.py", "run", source, output]
    options = ["--model", "kim_cnn", "--stack", STACK, "--yes", "--keep", "--quiet"]
    began, cpu = datetime.now(UTC), cpu_of_children()
    with subprocess.Popen([*command, *options], env=environment, text=True, stderr=subprocess.PIPE) as process:
        samples = memory_of(process)
        _, said = process.communicate()
    ended = datetime.now(UTC)
    if process.returncode:
        raise RuntimeError(said)
    bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith(STACK))
    objects: list[dict[str, Any]] = [
        each
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for each in page.get("Contents", [])
    ]
    sent, scored = (
        max(each["LastModified"] for each in objects if kind in each["Key"]) for kind in ("/parts/", "/results/")
    )
    for each in objects:
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    quarter = -(-len(samples) // 4)
    return Ran(
        (sent - began).total_seconds(),
        (scored - sent).total_seconds(),
        (ended - scored).total_seconds(),
        cpu_of_children() - cpu,
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


def vocabulary() -> tuple[float, float]:
    """Return a and b of Heaps' law: n texts have about a × n ** b distinct words."""
    folder = workload.DATA
    lines = (
        (Path(folder) / "trecqa/train-all/b.toks").read_text("utf-8").splitlines() if folder else workload.sentences()
    )
    texts = list(dict.fromkeys(lines))
    random.Random(0).shuffle(texts)
    seen: set[str] = set()
    distinct = []
    for text in texts:
        seen.update(tokenize(text))
        distinct.append(len(seen))
    counts = np.unique(np.geomspace(len(texts) / 100, len(texts), 20).astype(int))
    power, log = np.polyfit(np.log(counts), np.log([distinct[count - 1] for count in counts]), 1)
    return float(np.exp(log)), float(power)


def computed(command_seconds: float) -> list[list[str]]:
    """Return the lines of the second table; `command_seconds` are those of the command's CPU a row."""
    durations = json.loads((ROOT / "bench/results/durations.json").read_text("utf-8"))
    torch, memory = durations["packages"]["torch"], durations["memory_mb"]
    factor, power = vocabulary()
    lines = []
    for rows in COMPUTED_SIZES:
        parts = -(-rows // PART_ROWS)
        for concurrency, units in SETTINGS:
            functions = min(concurrency, parts)
            words = round(min(factor * (rows / functions) ** power, MOST_WORDS))
            scoring = rows * torch["batch_seconds"] / functions + torch["start_seconds"]
            reading = functions * words * UNITS_PER_WORD / units
            done = Done(parts, rows, words=functions * words, seconds=functions * (scoring + reading))
            seconds = [f"{each:,.0f}" for each in (rows * command_seconds, scoring, reading)]
            cost = f"{dollars(done, memory, UNITS_PER_WORD):.2f}"
            lines.append([f"{rows:,}", f"{functions}", f"{units:,}", f"{words:,}", *seconds, cost])
    return lines


def main() -> None:
    """Measure and compute; print the tables, a line of the first as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int, nargs="*", default=SIZES)
    parser.add_argument("--port", type=int, default=4566)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with local_cloud(arguments.port, folder / "cloud.log") as environment:
            deploy(environment, folder)
            key, secret, region = (
                environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION")
            )
            s3 = boto3.Session(key, secret, None, region).client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
            head = ["rows", "reading and sending, s", "scoring, s", "collecting, s", "rows a second"]
            head += ["CPU of the command, s", "MB by quarters"]
            print(f"Kim CNN 50-d, {FUNCTIONS} functions, {workload.source()}.\n\n{workload.table(head, [])}")
            for rows in arguments.rows:
                source, output = folder / "in.csv", folder / f"{rows}.csv"
                write_rows(source, rows)
                ran = run(environment, s3, source, output)
                whole = ran.sending + ran.scoring + ran.collecting
                memory = ", ".join(f"{most:.0f}" for most in ran.memory)
                seconds = [f"{each:.0f}" for each in (ran.sending, ran.scoring, ran.collecting)]
                print(
                    f"| {rows:,} | {' | '.join(seconds)} | {rows / whole:,.0f} | {ran.cpu:.0f} | {memory} |", flush=True
                )
                print(ran.summary, file=sys.stderr)
    head = ["rows", "functions at once", "read units a second", "words a function reads"]
    head += ["CPU of the command, s", "scoring, s", "reading words, s", "dollars"]
    print(f"\n{workload.table(head, computed(ran.cpu / rows))}")


if __name__ == "__main__":
    main()
