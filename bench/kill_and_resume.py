"""Uploads killed at random points, then run to the end: is the table the file, byte for byte?

    python utils/local_cloud.py -- python bench/kill_and_resume.py data/glove.6B.50d.sample.txt.gz

Kills the script with SIGKILL ten times at random times, lets it finish, then compares a scan of the table.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

from utils.vector_file import read_vectors

SCRIPT = Path(__file__).parents[1] / "utils/upload_word_vectors_to_dynamo.py"


def main() -> None:
    """Kill, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    table = f"killed-{time.time_ns()}"
    command = [sys.executable, str(SCRIPT), str(arguments.vectors), table, "--create-table"]
    expected = {word: vector.tobytes() for word, vector in read_vectors(arguments.vectors)}
    client = boto3.client("dynamodb")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - start
        client.delete_table(TableName=table)
        print(f"not killed, it takes {whole:.1f} s")
        for kill in range(arguments.kills):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                process.wait(rng.uniform(0.2, 0.9) * whole)
            except subprocess.TimeoutExpired:
                process.kill()
            said = process.communicate()[1].strip()
            print(f"kill {kill + 1}: exit {process.returncode} {said}", flush=True)
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"to the end: {ended.stderr.strip()}; {ended.stdout.strip()}")
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    found = {item["word"]["S"]: bytes(item["vector"]["B"]) for page in pages for item in page["Items"]}
    same = sum(found.get(word) == vector for word, vector in expected.items())
    print(f"{same:,} of {len(expected):,} words are as in the file, {len(found) - same:,} are not")
    sys.exit(found != expected)


if __name__ == "__main__":
    main()
