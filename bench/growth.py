"""How a request's time and memory grow: with a sentence's words, candidates, the cache and the table's vocabulary.

    SERVERLESS_INFERENCE_DATA=data python bench/growth.py bench/results > bench/results/growth.md

Draws `growth.svg` into the folder and prints the figures. CPU time in the function, SM-CNN 50-d; `bench/workload.py`
says what stands in for DynamoDB. It has no real index, so of the vocabulary only what the function sees of it is
measured: words drawn evenly from as many as the table is said to have. Memory is what Python and numpy
allocate for the request or the cache (tracemalloc), not what PyTorch does.
"""

import random
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import workload
from stub_server import stub_server

import sm_handler
from inference.dynamodb import dynamodb_client
from inference.word_vectors import WordVectors
from utils.estimate_cost import replay
from toolkit.plot import pyplot, save

ROUNDS, TABLE = 40, "50-float32"
LENGTHS = (1, 4, 16, 64, 128, 256)
CANDIDATES = (1, 2, 4, 8, 16, 32, 64, 128)
CACHED = (100, 1_000, 10_000, 100_000)
VOCABULARIES = (1_000, 10_000, 100_000, 1_000_000)


def words(count: int, vocabulary: int = 10_000, seed: int = 0) -> str:
    """Return a text of `count` words drawn evenly from a vocabulary."""
    return " ".join(f"w{number}" for number in random.Random(seed).choices(range(vocabulary), k=count))


def cpu(call: Callable[[Any], Any], fields: Any) -> float:
    """Return the milliseconds of CPU time of a request, the least of many."""
    return 1e3 * workload.measure({"": [partial(call, fields)]}, ROUNDS)[""][0]


def allocated(call: Callable[[], Any]) -> int:
    """Return the peak of bytes that a call allocates."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def hit_rate_and_memory(size: int) -> tuple[float, float]:
    """Return the hit rate of a cache of `size` words on the pairs, in random order, and its MB when it is full."""
    requests = [{"sent1": question, "sent2": answer} for question, answer in workload.pairs()]
    random.Random(0).shuffle(requests)
    vectors = WordVectors(dynamodb_client(), TABLE, 50, size)
    full = [f"w{number}" for number in range(size)]
    megabytes = allocated(lambda: [vectors.lookup(full[start : start + 100]) for start in range(0, size, 100)]) / 1e6
    return replay(requests, len(requests), size).hit_rate, megabytes


def main() -> None:
    """Measure, print, draw."""
    folder = Path(sys.argv[1])
    model = workload.model("sm_cnn", 50)
    with stub_server():
        cached = workload.prepare(sm_handler, model, TABLE, 1_000_000)
        question = words(8)
        lengths = {
            name: [cpu(call, {"sent1": question, "sent2": words(length)}) for length in LENGTHS]
            for name, call in (("cached", cached), ("no cache", workload.prepare(sm_handler, model, TABLE, 0)))
        }
        candidates = {
            name: [
                cpu(call, {"sent1": question, "sent2": [words(25, seed=n) for n in range(many)]}) for many in CANDIDATES
            ]
            for name, call in (("cached", cached), ("no cache", workload.prepare(sm_handler, model, TABLE, 0)))
        }
        longest = {"sent1": question, "sent2": words(256)}
        largest = {"sent1": question, "sent2": [words(25, seed=n) for n in range(128)]}
        peaks = [allocated(partial(cached, fields)) / 1e6 for fields in (longest, largest)]
        caches = [hit_rate_and_memory(size) for size in CACHED]
        vocabulary = []
        for size in VOCABULARIES:
            call = workload.prepare(sm_handler, model, TABLE, 0)
            vocabulary.append(cpu(call, {"sent1": words(8, size), "sent2": words(25, size)}))

    print(f"SM-CNN 50-d, CPU milliseconds in the function.\n\n{table('words a sentence', LENGTHS, lengths)}\n")
    print(f"{table('candidates of 25 words', CANDIDATES, candidates)}\n")
    print(f"Peak of memory: {peaks[0]:.1f} MB for a sentence of 256 words, {peaks[1]:.1f} MB for 128 candidates.\n")
    rows = [[f"{size:,}", f"{rate:.1%}", f"{mb:.1f}"] for size, (rate, mb) in zip(CACHED, caches, strict=True)]
    print(workload.table(["words the cache holds", f"found in it ({workload.source()})", "MB, full"], rows) + "\n")
    rows = [[f"{size:,}", f"{time:.2f}"] for size, time in zip(VOCABULARIES, vocabulary, strict=True)]
    print(workload.table(["words in the table", "33 words, no cache"], rows))

    figure, axes = pyplot().subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    for axis, label, at, measured in (
        (axes[0], "words a sentence", LENGTHS, lengths),
        (axes[1], "candidates of 25 words", CANDIDATES, candidates),
    ):
        for name, times in measured.items():
            axis.plot(at, times, marker="o", label=name)
        axis.set(xlabel=label, ylabel="CPU ms a request", ylim=0)
        axis.legend(fontsize="small")
    axes[2].plot(CACHED, [100 * rate for rate, _ in caches], marker="o", label="words found, %")
    axes[2].plot(CACHED, [mb for _, mb in caches], marker="s", label="MB, full")
    axes[2].set(xscale="log", xlabel="words the cache holds", ylim=0)
    axes[2].legend(fontsize="small")
    for axis in axes:
        axis.grid(alpha=0.3)
    save(figure, folder / "growth.svg")


def table(label: str, at: tuple[int, ...], measured: dict[str, list[float]]) -> str:
    """Return a Markdown table with a row for each way."""
    return workload.table([label, *map(str, at)], [[n, *(f"{t:.2f}" for t in times)] for n, times in measured.items()])


if __name__ == "__main__":
    main()
