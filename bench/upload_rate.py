"""How near the uploader comes to bare `batch_write_item` calls, on a server that answers at once.

    python bench/upload_rate.py                  # 50-d and 300-d, three rounds each, under a minute

The bare loop sends batches that were prepared before, one call at a time, parameter validation off. The
uploader does all of its work: reads text twice, parses, checks, encodes, writes, keeps its progress. Both
run in this process, in turns; the server is another process. Words per second, and the ratio of a round.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.config import Config
from vector_files import write_glove

from inference.word_vectors import encode_vector
from utils import upload_word_vectors_to_dynamo
from utils.vector_file import read_vectors


@contextlib.contextmanager
def stub_server() -> Iterator[None]:
    """Run the stub in its own process, and point boto3 at it."""
    command = [sys.executable, str(Path(__file__).with_name("stub_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            os.environ |= {
                "AWS_ENDPOINT_URL": server.stdout.readline().strip(),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "stub",
                "AWS_SECRET_ACCESS_KEY": "stub",
            }
            yield
        finally:
            server.kill()


def bare_rate(path: Path) -> float:
    """Return the words per second of a loop of calls with the words of `path`, prepared before."""
    client = boto3.client("dynamodb", config=Config(parameter_validation=False))
    puts = [
        {"PutRequest": {"Item": {"word": {"S": word}, "vector": encode_vector(vector)}}}
        for word, vector in read_vectors(path)
    ]
    batches = [puts[start : start + 25] for start in range(0, len(puts), 25)]
    start = time.perf_counter()
    for batch in batches:
        client.batch_write_item(RequestItems={"words": batch})
    return len(puts) / (time.perf_counter() - start)


def script_rate(path: Path, words: int) -> float:
    """Return the words per second of the uploader on `path`, from reading its first byte to its last line."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        upload_word_vectors_to_dynamo.main([str(path), "words", "--quiet"])
    return words / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stub_server():
        os.environ["XDG_STATE_HOME"] = folder
        for dim in (50, 300):
            path = Path(folder) / f"{dim}d.txt"
            write_glove(path, arguments.words, dim)
            ratios = []
            for _ in range(arguments.rounds):
                bare, script = bare_rate(path), script_rate(path, arguments.words)
                ratios.append(script / bare)
                print(
                    f"{dim:>3}-d  bare loop {bare:8,.0f}  uploader {script:8,.0f}  ratio {ratios[-1]:.2f}",
                    flush=True,
                )
            print(f"{dim:>3}-d  median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
