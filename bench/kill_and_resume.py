"""Uploads killed at random points, then run to the end: is the table the file, byte for byte?

    python utils/local_cloud.py -- python bench/kill_and_resume.py data/glove.6B.50d.sample.txt.gz

Ten times: a new table, SIGKILL at a random time, the same command to the end, a scan compared with the file.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

from toolkit.vectors.file import read_vectors

SCRIPT = Path(__file__).parents[1] / "utils/upload_word_vectors_to_dynamo.py"


def content(client: Any, table: str) -> dict[str, bytes]:
    """Return the vectors in `table`, none when it is not there yet."""
    try:
        pages = list(client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True))
    except client.exceptions.ResourceNotFoundException:
        return {}
    return {item["word"]["S"]: bytes(item["vector"]["B"]) for page in pages for item in page["Items"]}


def main() -> None:
    """Kill, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    expected = {word: vector.tobytes() for word, vector in read_vectors(arguments.vectors)}
    client = boto3.client("dynamodb")
    kills = failures = 0
    seconds = 0.0  # a whole upload takes
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        while kills < arguments.kills:
            table = f"killed-{time.time_ns()}"
            command = [sys.executable, str(SCRIPT), str(arguments.vectors), table, "--create-table"]
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(rng.uniform(0.1, 0.95) * seconds or None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                there = len(content(client, table))
                said = subprocess.run(command, check=True, capture_output=True, text=True).stderr.strip()
                found = content(client, table)
                kills, failures = kills + 1, failures + (found != expected)
                print(f"kill {kills}: {there:,} there; then {said or 'from the start'}:", end=" ")
                print("as in the file" if found == expected else "NOT as in the file", flush=True)
            else:  # the first one, to know how long it takes, or one that was faster than thought
                seconds = time.perf_counter() - start
            with contextlib.suppress(client.exceptions.ResourceNotFoundException):
                client.delete_table(TableName=table)
    print(f"{arguments.kills} kills, {len(expected):,} words: {failures} tables that are not as the file")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
