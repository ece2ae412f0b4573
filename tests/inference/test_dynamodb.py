"""The retry loop: all work done in the end, or in time the right error; and the client it calls."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from inference import dynamodb
from inference.dynamodb import RefusedError, UnavailableError, complete, read_client


def error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X"
    )


class Clock:
    """A time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        monkeypatch.setattr(dynamodb.time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def failing(times: int, *faults: Exception) -> tuple[Callable[[list[int]], list[int]], list[list[int]]]:
    """Return a call that raises its faults in turn, `times` times in all, and then does its work; and its calls."""
    calls: list[list[int]] = []

    def call(work: list[int]) -> list[int]:
        calls.append(work)
        if len(calls) <= times:
            raise faults[(len(calls) - 1) % len(faults)]
        return []

    return call, calls


PASSING = [error(code) for code in sorted(dynamodb.TRANSIENT_ERRORS)]
PASSING += [error("Odd", 500), error("Odd", 503), error("Odd", 429), ReadTimeoutError(endpoint_url="https://there")]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_an_error_that_passes_is_tried_again_with_the_same_work(fault: Exception, clock: Clock) -> None:
    call, calls = failing(3, fault)
    complete(call, [1, 2], clock.now + 10, sleep=clock.sleep)
    assert calls == [[1, 2]] * 4
    assert len(clock.pauses) == 3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=50), st.integers(0, 1000))
def test_work_left_undone_is_called_for_until_all_is_done(work: list[int], seed: int) -> None:
    chance = random.Random(seed)
    done: list[int] = []

    def call(given: list[int]) -> list[int]:
        count = chance.randint(0, len(given))
        done.extend(given[:count])
        return given[count:]

    complete(call, work, float("inf"), sleep=lambda seconds: None)
    assert done == work


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (error("ResourceNotFoundException"), "ResourceNotFoundException"),
        (error("AccessDeniedException", 499), "AccessDeniedException"),
        (error("ExpiredToken"), "ExpiredToken"),
        (ClientError({"Error": {"Code": "WithoutStatus", "Message": "said"}}, "X"), "WithoutStatus"),
        (BotoCoreError(), "An unspecified error occurred"),
    ],
)
def test_an_error_that_stays_is_raised_at_once(fault: Exception, message: str, clock: Clock) -> None:
    call, calls = failing(1, fault)
    with pytest.raises(RefusedError, match=message):
        complete(call, [1], clock.now + 10, sleep=clock.sleep)
    assert (len(calls), clock.pauses) == (1, [])


@pytest.mark.parametrize("code", sorted(dynamodb.STALE_CREDENTIALS))
def test_stale_credentials_are_renewed_once(code: str, clock: Clock) -> None:
    renewed: list[str] = []
    call, calls = failing(1, error(code))
    complete(call, [1], clock.now + 10, on_stale_credentials=lambda: renewed.append(code), sleep=clock.sleep)
    assert (len(calls), renewed) == (2, [code])
    call, calls = failing(2, error(code))
    with pytest.raises(RefusedError, match=code):
        complete(call, [1], clock.now + 10, on_stale_credentials=lambda: renewed.append(code), sleep=clock.sleep)
    assert (len(calls), renewed) == (2, [code] * 2)


def test_pauses_grow_with_full_jitter_up_to_their_cap(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def half(low: float, high: float) -> float:
        asked.append((low, high))
        return high / 2

    monkeypatch.setattr(dynamodb.random, "uniform", half)
    call, _ = failing(7, error("ThrottlingException"))
    complete(call, [1], clock.now + 100, sleep=clock.sleep)
    assert asked == [(0, high) for high in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)]
    assert clock.pauses == [high / 2 for _, high in asked]


def test_the_deadline_is_never_passed_and_the_error_says_what_is_left(clock: Clock) -> None:
    deadline = clock.now + 10
    call, calls = failing(10**9, error("ThrottlingException"))
    with pytest.raises(UnavailableError, match=r"2 left after \d+ tries, the last: ThrottlingException") as raised:
        complete(call, [1, 2], deadline, sleep=clock.sleep)
    assert clock.now < deadline
    assert f"after {len(calls)} tries" in str(raised.value)
    assert len(calls) == len(clock.pauses) + 1 > 10
    with pytest.raises(UnavailableError, match="after 1 tries"):
        complete(call, [1], clock.now, sleep=clock.sleep)


def test_where_nothing_answers_the_error_says_what_happened_last(clock: Clock) -> None:
    call, _ = failing(10**9, ReadTimeoutError(endpoint_url="https://there"))
    with pytest.raises(UnavailableError, match="the last: ReadTimeoutError"):
        complete(call, [1], clock.now + 1, sleep=clock.sleep)


def test_what_a_call_leaves_is_unprocessed_and_the_deadline_stands(clock: Clock) -> None:
    left = iter(range(100, 0, -1))
    with pytest.raises(UnavailableError, match=r"left after .* the last: unprocessed"):
        complete(lambda work: work[: next(left)], [0] * 101, clock.now + 3, sleep=clock.sleep)


def test_progress_moves_the_deadline_where_an_extension_is_given_and_shortens_the_pauses(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb.random, "uniform", lambda low, high: high)
    complete(lambda work: work[1:], [0] * 101, clock.now + 0.5, extension=0.5, sleep=clock.sleep)
    assert clock.pauses == [0.05] * 100
    with pytest.raises(UnavailableError, match="7 left"):
        complete(lambda work: work[:7], [0] * 9, clock.now + 0.5, extension=0.5, sleep=clock.sleep)


def test_the_client_leaves_retries_to_the_loop_and_gives_up_soon() -> None:
    config = read_client().meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (1.0, 2.0)
    assert config.max_pool_connections == dynamodb.PARALLEL_READS


def test_each_client_reads_its_credentials_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(client: Any) -> str:
        return client._request_signer._credentials.access_key  # botocore has no public way to read it

    first = read_client()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert (key(first), key(read_client())) == ("test", "another")
