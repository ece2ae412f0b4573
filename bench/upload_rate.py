"""How near the uploader comes to bare `batch_write_item` calls, on a server that answers at once.

    python bench/upload_rate.py                  # 50-d and 300-d, three rounds each, a minute or two

The bare loop sends batches that were prepared before, one call at a time, parameter validation off. The
uploader does all of its work: reads text twice, parses, checks, encodes, writes, keeps its progress. Both
run in this process, in turns; the server is another process. On a machine with other work the ratio of
rates scatters; that of CPU time is steadier, but counts nothing for the time a call waits.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import boto3
from botocore.config import Config
from stub_server import stub_server
from vector_files import write_glove

from inference.item_format import encode_vector
from utils import upload_word_vectors_to_dynamo
from toolkit.vectors.file import read_vectors


class Rate(NamedTuple):
    """What one way of writing made of some words."""

    per_second: float
    cpu: float  # microseconds of this process a word


def measure(words: int, work: Callable[[], object]) -> Rate:
    """Do `work`, which writes `words` words."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Rate(words / (time.perf_counter() - wall), 1e6 * (time.process_time() - cpu) / words)


def bare_loop(path: Path) -> Callable[[], None]:
    """Return a loop of calls with the words of `path`, prepared here."""
    client = boto3.client("dynamodb", config=Config(parameter_validation=False))
    puts = [
        {"PutRequest": {"Item": {"word": {"S": word}, "vector": encode_vector(vector)}}}
        for word, vector in read_vectors(path)
    ]
    batches = [puts[start : start + 25] for start in range(0, len(puts), 25)]

    def loop() -> None:
        for batch in batches:
            client.batch_write_item(RequestItems={"words": batch})

    client.batch_write_item(RequestItems={"words": batches[0]})  # opens the connection
    return loop


def uploader(path: Path) -> None:
    """Run the script on `path`, from reading its first byte to its last line."""
    with contextlib.redirect_stdout(io.StringIO()):
        upload_word_vectors_to_dynamo.main([str(path), "words", "--quiet"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    words = arguments.words
    print("        words/s: bare loop, uploader, ratio   CPU µs a word: bare loop, uploader, ratio of rates")
    with tempfile.TemporaryDirectory() as folder, stub_server():
        os.environ["XDG_STATE_HOME"] = folder
        for dim in (50, 300):
            path = Path(folder) / f"{dim}d.txt"
            write_glove(path, words, dim)
            loop = bare_loop(path)
            rounds = [(measure(words, loop), measure(words, partial(uploader, path))) for _ in range(arguments.rounds)]
            for bare, script in rounds:
                print(
                    f"{dim:>4}-d {bare.per_second:18,.0f} {script.per_second:9,.0f}"
                    f" {script.per_second / bare.per_second:6.2f}"
                    f" {bare.cpu:26.1f} {script.cpu:9.1f} {bare.cpu / script.cpu:6.2f}"
                )
            wall = statistics.median(script.per_second / bare.per_second for bare, script in rounds)
            cpu = statistics.median(bare.cpu / script.cpu for bare, script in rounds)
            print(f"{dim:>4}-d median {' ' * 23} {wall:5.2f} {' ' * 36} {cpu:6.2f}")


if __name__ == "__main__":
    main()
