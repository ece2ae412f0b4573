"""Words per second of an upload from text, beside bare `batch_write_item` calls, on a server that answers at once.

    python bench/upload_rate.py                     # 50-d and 300-d, three rounds each, a minute or two
    python bench/upload_rate.py --latency 0.02      # a server that answers after 20 ms: one call at a time falls behind

The bare loop sends batches that were prepared before, one call at a time. The upload reads text twice, parses, checks,
encodes, writes, keeps its progress. Both run in this process, in turns; the server is another process. On a machine
with other work the rates scatter; the CPU time a word is steadier.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stub_server import stub_server
from vector_files import write_glove

from inference.item_format import encode_vector
from toolkit.vectors import upload
from toolkit.vectors.file import VectorFile, read_vectors
from toolkit.vectors.progress import Progress
from toolkit.vectors.selection import Selection
from toolkit.vectors.table import BATCH_ITEMS, data_client


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
    client = data_client()
    puts = [
        {"PutRequest": {"Item": {"word": {"S": word}, "vector": encode_vector(vector)}}}
        for word, vector in read_vectors(path)
    ]
    batches = [puts[start : start + BATCH_ITEMS] for start in range(0, len(puts), BATCH_ITEMS)]

    def loop() -> None:
        for batch in batches:
            client.batch_write_item(RequestItems={"words": batch})

    client.batch_write_item(RequestItems={"words": batches[0]})  # opens the connection
    return loop


def upload_file(path: Path) -> None:
    """Upload `path`, from reading its first byte to keeping its last progress."""
    selection = Selection(VectorFile(path), "float32")
    selection.survey(quiet=True)
    progress = Progress("bench", "float32", None, skip_bad_lines=False)
    upload.write(data_client(), "words", selection, progress, quiet=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="of the server; default: 0")
    arguments = parser.parse_args()
    words = arguments.words
    print("        words/s: bare loop, upload, ratio     CPU µs a word: bare loop, upload, ratio of rates")
    with tempfile.TemporaryDirectory() as folder, stub_server(arguments.latency):
        os.environ["XDG_STATE_HOME"] = folder
        for dim in (50, 300):
            path = Path(folder) / f"{dim}d.txt"
            write_glove(path, words, dim)
            loop = bare_loop(path)
            rounds = [
                (measure(words, loop), measure(words, partial(upload_file, path))) for _ in range(arguments.rounds)
            ]
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
