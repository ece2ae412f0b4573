"""Measure the largest requests that the default limits let through: seconds, and the process's peak of memory.

    python bench/worst_request.py sm_cnn
    python bench/worst_request.py kim_cnn

Multichannel models of 300 dimensions with random weights, one thread, no word cached.
"""

import importlib
import json
import resource
import time
from typing import Any

import numpy as np
import workload
from stub_server import stub_server

from inference.settings import Settings
from toolkit import cli

DIM, CHANNELS = 300, 2
LIMITS = Settings()


def words(count: int, first: int = 0) -> str:
    """Return so many words of four letters, as many of them distinct as a request may have."""
    numbers = (number % LIMITS.max_distinct_words for number in range(first, first + count))
    return " ".join(np.base_repr(46_656 + number, 36).lower() for number in numbers)


def requests(model: str) -> dict[str, dict[str, Any]]:
    """Return the fields of the largest requests, by name."""
    sentences, longest = LIMITS.max_sentences, LIMITS.max_words
    each = LIMITS.max_body_bytes // sentences // 5 - 5  # four letters and a space; the rest is JSON
    room = (LIMITS.max_body_bytes - 2000) // sentences  # of a text; the rest is JSON and a question
    lists = {
        "most distinct words": [words(min(each, longest), each * row) for row in range(sentences)],
        "all of the greatest length": ["a " * min(longest, room // 2 - 3)] * sentences,
        "one long, the others short": [words(longest), *["a"] * (sentences - 1)],
    }
    explained = LIMITS.max_explained_words
    if model == "kim_cnn":
        of_lists: dict[str, dict[str, Any]] = {name: {"input": texts} for name, texts in lists.items()}
        text = words(min(explained, longest))
        return {**of_lists, "explained, the longest text": {"input": text, "explain": True}}
    of_lists = {name: {"sent1": words(200), "sent2": texts} for name, texts in lists.items()}
    pair = {"sent1": words(explained // 2), "sent2": words(explained // 2, explained // 2)}
    return {**of_lists, "explained, the longest pair": {**pair, "explain": True}}


def peak() -> float:
    """Return the peak of this process's memory in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every request."""
    parser = cli.parser(__doc__)
    parser.add_argument("model", choices=["sm_cnn", "kim_cnn"])
    name = parser.parse_args().model
    predict = importlib.import_module(f"{name}.predict")
    model = workload.random_weights(predict, dim=DIM, channels=CHANNELS)
    print(f"{name}: {peak():.0f} MB before the first request")
    with stub_server():
        for kind, fields in requests(name).items():
            call = workload.function(predict, model, f"{model.vector_length}-float32", LIMITS.word_cache_size)
            started, cpu = time.perf_counter(), time.process_time()
            answer = call(fields)
            seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            print(
                f"{kind}: {len(json.dumps(fields)):,} bytes, {seconds:.2f} s ({cpu:.2f} s of CPU), "
                f"answer of {len(answer['body']):,} bytes, peak {peak():.0f} MB"
            )


if __name__ == "__main__":
    main()
