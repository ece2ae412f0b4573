"""A process that serves for long, whose peak of memory is its own: prints that peak in KiB, early and late.

python serve_for_long.py words COUNT            distinct words read through a full cache
python serve_for_long.py requests WARM COUNT    requests of both models, good, bad and failing
"""

import gc
import json
import logging
import resource
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # as it is run as a script

import numpy as np

from inference.item_format import encode_vector
from inference.word_vectors import WordVectors
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, handler

NUMBERS = [encode_vector(np.full(50, number, np.float32)) for number in range(7)]


def number_of(word: str) -> int:
    return zlib.crc32(word.encode()) % 7


class ForgetfulDynamoDB(FakeDynamoDB):
    """One that keeps nothing of what was read; with `failing`, every 50th read fails."""

    def __init__(self, failing: bool = False) -> None:
        super().__init__(lambda word: NUMBERS[number_of(word)])
        self.failing, self.count = failing, 0

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        self.reads.clear()
        self.count += 1
        if self.failing and self.count % 50 == 0:
            raise OSError("cut")
        return super().batch_get_item(RequestItems)


def print_peak() -> None:
    gc.collect()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def read_words(count: int) -> None:
    vectors = WordVectors(ForgetfulDynamoDB, "words", 50, cache_size=10_000)
    for start, end in ((0, 50_000), (50_000, 50_000 + count)):
        for first in range(start, end, 1000):
            words = [f"word{number}" for number in range(first, first + 1000)]
            found = vectors.lookup(words)
            assert [vector[0] for vector in found.values() if vector is not None] == [number_of(w) for w in words]
        print_peak()


def serve_requests(warm: int, count: int) -> None:
    logging.disable()
    kim = handler(KIM, ForgetfulDynamoDB(failing=True), cache_size=1000)
    sm = handler(SM, ForgetfulDynamoDB(failing=True), cache_size=1000)
    statuses = set()
    for start, end in ((0, warm), (warm, warm + count)):
        for number in range(start, end):
            word = f"word{number} " + "x" * (number % 2000)
            if number % 10 == 0:
                answer = kim({"body": "[" * (number % 5000)}, None)
            elif number % 2:
                answer = kim({"body": json.dumps({"input": [f"a {word} b", "c"]})}, None)
            else:
                answer = sm({"body": json.dumps({"sent1": f"a {word} b", "sent2": ["c", word]})}, None)
            statuses.add(answer["statusCode"])
        print_peak()
    assert statuses == {200, 400, 500}, statuses


if __name__ == "__main__":
    if sys.argv[1] == "words":
        read_words(int(sys.argv[2]))
    else:
        serve_requests(int(sys.argv[2]), int(sys.argv[3]))
