"""A faulty DynamoDB: the right answer in the end, or in time the right error, and never another answer."""

import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from inference import dynamodb, gateway
from inference.gateway import Handler
from tests.conftest import ROOT
from tests.faults import proxy as faults
from tests.faults.conftest import handlers, size
from tests.faults.proxy import Exchange, Fault, FaultyDynamoDB

PAIR = {"sent1": "how are glacier caves formed", "sent2": ["the ice facade is 60 m high", "caves zorblax"]}
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"
TIMINGS = ("t_overall", "t_sent_embedding", "t_load_model", "t_inference")


def vocabulary() -> list[str]:
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        return [line.split(" ")[0] for line in lines]


Ask = Callable[..., tuple[int, dict[str, Any]]]


def asking(served: dict[str, Handler]) -> Ask:
    """Return a function from a request's fields to status and body, without the timings, of the answer."""
    return lambda fields, milliseconds=29_000: answer_of(served[next(iter(fields))], fields, milliseconds)


@pytest.fixture
def answer(through_the_proxy: FaultyDynamoDB) -> Ask:
    return asking(handlers())


def answer_of(handler: Handler, fields: dict[str, Any], milliseconds: int) -> tuple[int, dict[str, Any]]:
    ends = time.monotonic() + milliseconds / 1000
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: int((ends - time.monotonic()) * 1000))
    event = {"requestContext": {"http": {"method": "POST"}}, "body": json.dumps(fields)}
    answered = handler(event, context)
    assert time.monotonic() < ends, "Lambda would have killed it"
    assert answered["headers"]["Access-Control-Allow-Origin"] == "*"
    body = json.loads(answered["body"])
    return answered["statusCode"], {name: value for name, value in body.items() if name not in TIMINGS}


def first_calls(fault: Fault, count: int) -> Any:
    left = iter(range(count))
    return lambda exchange: None if next(left, None) is None else fault


@pytest.mark.parametrize("fault", [*faults.PASSING, faults.signature_expired], ids=lambda fault: fault.__name__)
def test_a_fault_that_passes_costs_tries_and_changes_no_answer(
    fault: Fault, through_the_proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture, answer: Ask
) -> None:
    expected = answer(PAIR)
    assert (expected[0], expected[1]["unknown_words"]) == (200, ["zorblax"])
    through_the_proxy.fault = first_calls(fault, 1 if fault is faults.signature_expired else 2)
    assert answer(PAIR) == expected
    assert caplog.records == []


def test_a_call_that_is_not_answered_is_tried_again(through_the_proxy: FaultyDynamoDB, answer: Ask) -> None:
    expected = answer(PAIR)
    through_the_proxy.fault = first_calls(faults.silent, 1)
    assert answer(PAIR) == expected


@pytest.mark.parametrize("fault", [*faults.PASSING[:-1], *faults.HANGING], ids=lambda fault: fault.__name__)
def test_a_fault_that_stays_is_a_503_in_time_with_one_line_in_the_log_and_the_next_request_works(
    fault: Fault, through_the_proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture, answer: Ask
) -> None:
    expected = answer(PAIR)
    if fault is faults.some_unprocessed:  # for ever
        fault = faults.all_unprocessed
    through_the_proxy.fault = lambda exchange: fault
    status, body = answer(PAIR, milliseconds=int(gateway.TIME_TO_ANSWER * 1000) + 400)
    assert (status, body) == (503, {"error": "the word vectors can't be read right now; try again in a second"})
    (record,) = caplog.records
    assert "table word-vectors, 13 words to read: " in record.getMessage()
    assert "\n" not in record.getMessage() and record.exc_info is None
    through_the_proxy.fault = lambda exchange: None
    assert answer(PAIR) == expected


@pytest.mark.parametrize("fault", faults.LASTING, ids=lambda fault: fault.__name__)
def test_a_fault_no_try_can_mend_is_a_500_at_once_with_one_line_in_the_log_and_the_next_request_works(
    fault: Fault, through_the_proxy: FaultyDynamoDB, caplog: pytest.LogCaptureFixture, answer: Ask
) -> None:
    expected = answer(PAIR)
    through_the_proxy.fault = lambda exchange: fault
    started = time.monotonic()
    assert answer(PAIR) == (500, {"error": "the request failed inside the service; its log says why"})
    assert time.monotonic() - started < 5
    (record,) = caplog.records
    assert "table word-vectors, 13 words to read: " in record.getMessage()
    assert faults.LASTING[fault] in record.getMessage()
    assert "\n" not in record.getMessage() and record.exc_info is None
    through_the_proxy.fault = lambda exchange: None
    assert answer(PAIR) == expected


def test_no_listener_at_all_is_a_503_and_one_that_comes_back_is_found(
    through_the_proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = asking(handlers())
    # Time enough to make the client, which takes a second on a busy machine, before the first try.
    assert answer(PAIR, milliseconds=int(gateway.TIME_TO_ANSWER * 1000) + 5000)[0] == 503
    assert "EndpointConnectionError" in caplog.text


def test_without_credentials_the_caller_gets_a_500_and_the_log_says_so(
    through_the_proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        answer = asking(handlers())
        assert answer(PAIR)[0] == 500
    assert [record.exc_info for record in caplog.records] == [None]
    assert "Unable to locate credentials" in caplog.text


def test_credentials_that_ran_out_are_read_anew_within_the_request(
    through_the_proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Ask
) -> None:
    expected = answer(PAIR)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    answer = asking(handlers())

    def old_ones(exchange: Exchange) -> Fault | None:
        return faults.expired if "Credential=old/" in exchange.headers["Authorization"] else None

    through_the_proxy.fault = old_ones
    assert answer(PAIR)[0] == 500
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    assert answer(PAIR) == expected
    assert len(caplog.records) == 1


def test_a_process_that_was_frozen_until_its_connections_died_answers_on_a_new_one(
    through_the_proxy: FaultyDynamoDB, answer: Ask
) -> None:
    """Several idle connections whose other end says nothing cost one timeout, not one each."""
    fields = {"input": [" ".join(vocabulary()[start : start + 200]) for start in range(0, 1000, 200)]}
    expected = answer(PAIR)
    assert answer(fields)[0] == 200
    last = next(through_the_proxy.connections)
    through_the_proxy.fault = lambda exchange: faults.silent if exchange.connection_number <= last else None
    assert last > 4
    started = time.monotonic()
    assert answer(PAIR) == expected
    assert time.monotonic() - started < 6


def test_a_clock_that_jumps_changes_neither_answer_nor_deadline(
    through_the_proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, answer: Ask
) -> None:
    expected = answer(PAIR)
    now, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now() + (86_400 if next(jumps) % 2 else -86_400))
    through_the_proxy.fault = first_calls(faults.throttled, 3)
    assert answer(PAIR) == expected
    through_the_proxy.fault = lambda exchange: faults.throttled
    assert answer(PAIR, milliseconds=1400)[0] == 503


def test_no_time_left_is_a_503_without_a_call(through_the_proxy: FaultyDynamoDB, answer: Ask) -> None:
    calls: list[Exchange] = []
    through_the_proxy.fault = calls.append
    assert answer(PAIR, milliseconds=900)[0] == 503
    assert calls == []


def test_under_random_faults_every_200_is_the_fault_free_answer(
    through_the_proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Ask
) -> None:
    """Half of the calls fail, in every way, from eight threads at once."""
    seed = random.Random(7)
    words = [*vocabulary()[:3000], *(f"unknown{index}" for index in range(100))]

    def sentence() -> str:
        return " ".join(seed.choices(words, k=seed.randint(1, 30)))

    requests: list[dict[str, Any]] = []
    for _ in range(size(40, 500)):
        requests.append({"input": sentence()})
        requests.append({"sent1": sentence(), "sent2": [sentence() for _ in range(seed.choice([1, 1, 2, 10]))]})
    expected = [answer(fields) for fields in requests]
    assert {status for status, _ in expected} == {200}

    monkeypatch.setattr(dynamodb, "READ_TIMEOUT", 0.3)
    monkeypatch.setattr(dynamodb, "BACKOFF_CAP", 0.2)
    monkeypatch.setattr(gateway, "PATIENCE", 3.0)
    answer = asking(handlers())
    every = [*faults.PASSING, *faults.HANGING, faults.signature_expired, *faults.LASTING]
    rare = {*faults.HANGING, *faults.LASTING}
    weights = [1 if fault in rare else 20 for fault in every]
    through_the_proxy.fault = lambda exchange: seed.choices(every, weights)[0] if seed.random() < 0.5 else None

    def compare(number: int) -> int:
        status, body = answer(requests[number % len(requests)])
        if status == 200:
            assert (status, body) == expected[number % len(requests)]
        return status

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(compare, range(size(300, 10_000))))
    print(f"statuses under 50 % faults: {dict(statuses)}, log lines: {len(caplog.records)}")
    assert set(statuses) <= {200, 500, 503}
    assert statuses[200] > 0.8 * statuses.total()
    assert len(caplog.records) == statuses[500] + statuses[503]


PROCESS = """
import json, sys
import kim_handler
for line in sys.stdin:
    print(json.loads(kim_handler.handler({"input": line.strip()}, None)["body"])["output"])
"""


def test_many_processes_at_once_answer_alike(through_the_proxy: FaultyDynamoDB, answer: Ask) -> None:
    words, seed = vocabulary(), random.Random(3)
    sentences = [" ".join(seed.choices(words, k=9)) for _ in range(size(20, 300))]
    expected = [answer({"input": sentence})[1]["output"] for sentence in sentences]
    every = [fault for fault in faults.PASSING if fault is not faults.slow]
    through_the_proxy.fault = lambda exchange: seed.choice(every) if seed.random() < 0.3 else None
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "AWS_ENDPOINT_URL": through_the_proxy.url,
                   "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                   "AWS_DEFAULT_REGION": "us-east-1", "LOG_LEVEL": "CRITICAL"}  # fmt: skip
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stdin=-1, stdout=-1, text=True)
        for _ in range(size(2, 8))
    ]
    with ThreadPoolExecutor(len(processes)) as pool:
        printed = list(pool.map(lambda process: process.communicate("\n".join(sentences))[0], processes))
    for output in printed:
        assert [json.loads(line) for line in output.splitlines()] == expected
