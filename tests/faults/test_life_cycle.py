"""A process that serves for long: threads at once, a bounded cache, memory that does not grow, a start cut off."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from inference.gateway import Handler
from inference.item_format import encode_vector
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.faults.conftest import size
from tests.serving import KIM, SM, handler, post, without_timings


def peaks(*arguments: str | int) -> list[int]:
    """Run a process that prints its peak of memory at several times."""
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("serve_for_long.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return [int(line) for line in ran.stdout.splitlines() if not line.startswith("{")]  # but the log's


def test_the_cache_stays_at_its_size_however_many_distinct_words_are_read() -> None:
    before, after = peaks("words", size(50_000, 1_000_000))
    assert after < 1.05 * before


def test_memory_does_not_grow_with_the_number_of_requests() -> None:
    """Requests of both models, good, bad and failing, each with words of its own."""
    warm = size(1000, 60_000)  # until the cache of stems is full
    before, after = peaks("requests", warm, size(1000, 100_000))
    assert after < 1.05 * before


def test_many_threads_at_once_get_the_answers_of_one() -> None:
    """A cache that is far too small is filled and emptied by all of them; the load time is reported once."""
    vector = encode_vector(np.linspace(-1, 1, 50, dtype=np.float32))
    client = FakeDynamoDB(lambda word: vector)
    kim, sm = (handler(predict, client, cache_size=20, load_seconds=0.5) for predict in (KIM, SM))
    requests: list[tuple[Handler, dict[str, Any]]] = []
    for number in range(40):
        words = " ".join(f"w{number * place % 97}" for place in range(1, 20))
        requests.append((kim, {"input": words}))
        requests.append((sm, {"sent1": words, "sent2": [words, f"w{number}"]}))

    def answer(number: int) -> tuple[dict[str, Any], float]:
        handler, fields = requests[number % len(requests)]
        status, body = post(handler, **fields)
        assert status == 200
        return without_timings(body), body["t_load_model"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(answer, range(size(400, 20_000))))
    expected = [answer(number)[0] for number in range(len(requests))]
    for number, (body, _) in enumerate(answers):
        assert body == expected[number % len(requests)]
    assert sum(seconds for _, seconds in answers) == 1.0


def test_a_start_cut_off_at_any_time_leaves_nothing_that_stops_the_next() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "CRITICAL"}
    command = [sys.executable, "-c", "import kim_handler; print(kim_handler.handler({}, None)['statusCode'])"]
    for after in (0.5, 0.1, 1.0, 2.0)[: size(1, 4)]:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "400\n"
