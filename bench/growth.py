"""Measure how a request's time grows with its words and candidates, and a cache's hit rate and memory with its size.

    SERVERLESS_INFERENCE_DATA=data python bench/growth.py bench/results > bench/results/growth.md

Draws `growth.svg` into the folder and prints the figures: SM-CNN 50-d, CPU time in the function. Memory is what Python
and numpy allocate for the request or the cache (tracemalloc), without what PyTorch does.
"""

import random
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import workload
from stub_server import stub_server

import sm_cnn.predict
from inference.dynamodb import read_client
from inference.word_vectors import WordVectors
from toolkit.plot import WIDTH, pyplot, readable, save
from toolkit.traffic import replay

ROUNDS, TABLE = 40, "50-float32"
LENGTHS = (1, 4, 16, 64, 128, 256)
CANDIDATES = (1, 2, 4, 8, 16, 32, 64, 128)
CACHED = (100, 1_000, 10_000, 100_000)
OFFSET: dict[str, Any] = {"textcoords": "offset points"}
Panels = dict[str, tuple[Sequence[int], dict[str, list[float]]]]  # axis ─► its values, and ms of each line


def text(count: int, seed: int = 0) -> str:
    """Return a text of `count` words drawn evenly from 10,000."""
    return " ".join(f"w{number}" for number in random.Random(seed).choices(range(10_000), k=count))


def cpu(call: Callable[[Any], Any], requests: Sequence[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of CPU time of each request, the least of many."""
    return [workload.measure({"": [partial(call, fields)]}, ROUNDS)[""][0] for fields in requests]


def allocated(call: Callable[[], Any]) -> float:
    """Return the peak of MB that a call allocates."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def hit_rate_and_memory(size: int) -> tuple[float, float]:
    """Return the hit rate of a cache of `size` words on the pairs, in random order, and its MB when it is full."""
    requests = [{"sent1": question, "sent2": answer} for question, answer in workload.pairs()]
    random.Random(0).shuffle(requests)
    vectors = WordVectors(read_client, TABLE, 50, size)
    full = [f"w{number}" for number in range(size)]
    vectors.lookup(["other"])  # makes the client
    megabytes = allocated(lambda: [vectors.lookup(full[start : start + 100]) for start in range(0, size, 100)])
    return replay(requests, len(requests), size).hit_rate, megabytes


def draw(panels: Panels, caches: Sequence[tuple[float, float]], path: Path) -> None:
    """Draw the times of requests, a panel for each axis, and the hit rates of caches with their MB beside them."""
    with readable():
        figure, axes = pyplot().subplots(3, figsize=(WIDTH, 10), layout="constrained")
        for axis, (label, (at, lines)) in zip(axes, panels.items(), strict=False):
            for place, (name, times) in enumerate(lines.items()):
                axis.plot(at, times, "-o", color=f"C{place}")
                axis.annotate(name, (at[-1], times[-1]), (8, 0), color=f"C{place}", va="center", **OFFSET)
            axis.set(xlabel=label, title="CPU ms per request", ylim=0)
        rates = [100 * rate for rate, _ in caches]
        axes[2].plot(CACHED, rates, "-o")
        for size, rate, (_, megabytes) in zip(CACHED, rates, caches, strict=True):
            axes[2].annotate(f"{megabytes:.2g} MB", (size, rate), (6, -18), color="C0", **OFFSET)
        axes[2].set(xscale="log", xlabel="words the cache holds", title="hit rate, and memory when full", ylim=(0, 100))
        axes[2].set_xticks(CACHED, [f"{size:,}" for size in CACHED])
        axes[2].minorticks_off()
        axes[2].margins(x=0.1)
        axes[2].yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
        save(figure, path)


def main() -> None:
    """Measure, print, draw."""
    folder = Path(sys.argv[1])
    model = workload.committed(sm_cnn.predict)
    question = text(8)
    by_length = [{"sent1": question, "sent2": text(length)} for length in LENGTHS]
    by_candidates = [{"sent1": question, "sent2": [text(25, n) for n in range(many)]} for many in CANDIDATES]
    with stub_server():
        calls = {
            "cached": workload.function(sm_cnn.predict, model, TABLE, 1_000_000),
            "no cache": workload.function(sm_cnn.predict, model, TABLE, 0),
        }
        panels: Panels = {
            "words a sentence": (LENGTHS, {name: cpu(call, by_length) for name, call in calls.items()}),
            "candidates of 25 words": (CANDIDATES, {name: cpu(call, by_candidates) for name, call in calls.items()}),
        }
        longest, most = (allocated(partial(calls["cached"], each[-1])) for each in (by_length, by_candidates))
        caches = [hit_rate_and_memory(size) for size in CACHED]

    print("SM-CNN 50-d, CPU milliseconds in the function.\n")
    for label, (at, lines) in panels.items():
        rows = [[name, *(f"{time:.2f}" for time in times)] for name, times in lines.items()]
        print(workload.table([label, *map(str, at)], rows) + "\n")
    print(f"Peak of memory: {longest:.1f} MB for a sentence of 256 words, {most:.1f} MB for 128 candidates.\n")
    cells = [[f"{size:,}", f"{rate:.1%}", f"{mb:.1f}"] for size, (rate, mb) in zip(CACHED, caches, strict=True)]
    print(workload.table(["words the cache holds", f"hit rate ({workload.source()})", "MB, full"], cells))

    draw(panels, caches, folder / "growth.svg")


if __name__ == "__main__":
    main()
