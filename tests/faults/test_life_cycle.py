"""A process that serves for long: threads at once, a bounded cache, memory that does not grow, a start cut off."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import kim_handler
import sm_handler
from inference.word_vectors import WordVectors, encode_vector
from tests.conftest import ROOT
from tests.faults.conftest import size

# A process of its own, so that its peak of memory is its own; prints it before and after the many.
START = f"""
import gc, json, resource, sys, zlib
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from inference import word_vectors

class Table:
    def batch_get_item(self, RequestItems):
        ((table, wanted),) = RequestItems.items()
        items = []
        for key in wanted["Keys"]:
            number = zlib.crc32(key["word"]["S"].encode())
            items.append({{"word": key["word"], "vector": {{"B": np.full(50, number % 7, "<f4").tobytes()}}}})
        return {{"Responses": {{table: items}}}}
    def close(self): pass

def peak():
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


def peaks(program: str, *arguments: int) -> list[int]:
    """Run a program that prints its peak of memory at several times."""
    command = [sys.executable, "-c", START + program, *map(str, arguments)]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return [int(line) for line in ran.stdout.split()]


def test_the_cache_stays_at_its_size_however_many_distinct_words_are_read() -> None:
    before, after = peaks(
        """
vectors = word_vectors.WordVectors(Table(), "words", 50, cache_size=10_000)
def read(start, end):
    for first in range(start, end, 1000):
        words = [f"word{number}" for number in range(first, first + 1000)]
        found = vectors.lookup(words)
        assert all(found[word][0] == zlib.crc32(word.encode()) % 7 for word in words)
count = int(sys.argv[1])
read(0, 50_000)
print(peak())
read(50_000, 50_000 + count)
print(peak())
""",
        size(50_000, 1_000_000),
    )
    assert after < 1.05 * before


def test_memory_does_not_grow_with_the_number_of_requests() -> None:
    """Requests of both models, good, bad and failing, each with words of its own."""
    before, after = peaks(
        """
import logging, os
os.environ.update(AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
import kim_handler, sm_handler
logging.disable()
class Faulty(Table):
    calls = 0
    def batch_get_item(self, RequestItems):
        self.calls += 1
        if self.calls % 50 == 0:
            raise OSError("cut")
        return super().batch_get_item(RequestItems)
for handler in (kim_handler, sm_handler):
    handler.VECTORS = word_vectors.WordVectors(Faulty(), "words", 50, cache_size=1000)
statuses = {}
def serve(start, end):
    for number in range(start, end):
        word = f"word{number} " + "x" * (number % 2000)
        if number % 10 == 0:
            answer = kim_handler.handler({"body": "[" * (number % 5000)}, None)
        elif number % 2:
            answer = kim_handler.handler({"body": json.dumps({"input": [f"a {word} b", "c"]})}, None)
        else:
            answer = sm_handler.handler({"body": json.dumps({"sent1": f"a {word} b", "sent2": ["c", word]})}, None)
        statuses[answer["statusCode"]] = statuses.get(answer["statusCode"], 0) + 1
warm, count = map(int, sys.argv[1:])
serve(0, warm)
print(peak())
serve(warm, warm + count)
print(peak())
assert set(statuses) == {200, 400, 500}, statuses
""",
        size(1000, 60_000),  # until the cache of stems is full
        size(1000, 100_000),
    )
    assert after < 1.05 * before


class Table:
    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((table, wanted),) = RequestItems.items()
        vector = encode_vector(np.linspace(-1, 1, 50, dtype=np.float32))
        return {"Responses": {table: [{"word": key["word"], "vector": vector} for key in wanted["Keys"]]}}


def test_many_threads_at_once_get_the_answers_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that is far too small is filled and emptied by all of them; the load time is told once."""
    requests: list[tuple[Any, dict[str, Any]]] = []
    for number in range(40):
        words = " ".join(f"w{number * place % 97}" for place in range(1, 20))
        requests.append((kim_handler, {"input": words}))
        requests.append((sm_handler, {"sent1": words, "sent2": [words, f"w{number}"]}))
    for handler in (kim_handler, sm_handler):
        monkeypatch.setattr(handler, "VECTORS", WordVectors(Table(), "words", 50, cache_size=20))

    def answer(number: int) -> tuple[int, dict[str, Any], float]:
        handler, fields = requests[number % len(requests)]
        answered = handler.handler({"body": json.dumps(fields)}, None)
        body = json.loads(answered["body"])
        timings = {name: body.pop(name, 0.0) for name in list(body) if name.startswith("t_")}
        return answered["statusCode"], body, timings["t_load_model"]

    expected = [answer(number)[:2] for number in range(len(requests))]
    assert {status for status, _ in expected} == {200}
    monkeypatch.setattr(kim_handler, "load_seconds", iter([0.5]))
    monkeypatch.setattr(sm_handler, "load_seconds", iter([0.5]))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(answer, range(size(400, 20_000))))
    for number, (status, body, _) in enumerate(answers):
        assert (status, body) == expected[number % len(requests)]
    assert sum(seconds for _, _, seconds in answers) == 1.0


def test_a_start_cut_off_at_any_time_leaves_nothing_that_stops_the_next() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "import kim_handler; print(kim_handler.handler({}, None)['statusCode'])"]
    for after in (0.5, 0.1, 1.0, 2.0)[: size(1, 4)]:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "400\n"
