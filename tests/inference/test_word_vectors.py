"""Reads of the word vector table: batches, retries, cache, and never a wrong vector."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from inference import dynamodb as retries
from inference.item_format import encode_vector
from inference.word_vectors import VectorsError, VectorsUnavailableError, WordVectors, by_length, embed
from tests.fakes.dynamodb import FakeDynamoDB


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BACKOFF_BASE", 0.001)


def one_dimension(numbers: dict[str, float]) -> Callable[[str], Any]:
    """Return the attribute of each word in `numbers`."""
    return lambda word: encode_vector(np.array([numbers[word]], np.float32)) if word in numbers else None


def reading(client: Any, cache_size: int = 10, length: int = 1) -> WordVectors:
    return WordVectors(lambda: client, "words", length, cache_size)


def throttled(number: int, keys: Any) -> Any:
    code = "ProvisionedThroughputExceededException"
    answer: Any = {"Error": {"Code": code, "Message": "slow down"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    raise ClientError(answer, "BatchGetItem")


def timed_out(number: int, keys: Any) -> Any:
    raise ReadTimeoutError(endpoint_url="https://dynamodb")


def unprocessed(number: int, keys: Any) -> Any:
    return {"Responses": {"words": []}, "UnprocessedKeys": {"words": {"Keys": keys}}}


def without_the_table(number: int, keys: Any) -> Any:
    return {"Responses": {}}


FAULTS = [throttled, timed_out, unprocessed, without_the_table]


def test_known_words_have_their_vectors_and_unknown_ones_none(dynamodb: Any, put: Any) -> None:
    put("one", [1, 2])
    put("half", [0.5, 0.25], "float16")
    put("old", [3, 4], "list")
    found = reading(dynamodb, length=2).lookup(["one", "half", "old", "other"])
    assert {word: None if vector is None else vector.tolist() for word, vector in found.items()} == {
        "one": [1, 2],
        "half": [0.5, 0.25],
        "old": [3, 4],
        "other": None,
    }


def test_an_unusable_vector_is_an_error_that_names_table_and_word(dynamodb: Any, put: Any) -> None:
    put("bad", [1, 2, 3])
    with pytest.raises(VectorsError, match="table words, 1 words to read: word 'bad': 12 bytes, not the 16") as raised:
        reading(dynamodb, length=4).lookup(["bad"])
    assert not isinstance(raised.value, VectorsUnavailableError)


def test_duplicate_and_impossible_words_never_reach_the_table() -> None:
    impossible = ["", "é" * 1025, "\ud800"]  # empty, over 2,048 bytes, a lone surrogate
    client = FakeDynamoDB(one_dimension({"a": 1}))
    found = reading(client, cache_size=0).lookup(["a", *impossible, "a"])
    assert client.reads == [["a"]]
    assert found["a"] is not None
    assert [found[word] for word in impossible] == [None] * 3


def test_over_a_hundred_words_take_several_calls_at_once() -> None:
    words = [f"w{index}" for index in range(250)]
    together = threading.Barrier(3, timeout=10)  # passes only when three calls are under way at the same time

    def meet(*_: Any) -> None:
        together.wait()

    client = FakeDynamoDB(one_dimension({word: index for index, word in enumerate(words)}), meet)
    found = reading(client, cache_size=1000).lookup(words)
    assert sorted(map(len, client.reads)) == [50, 100, 100]
    assert [float(found[word][0]) for word in words] == list(range(250))  # type: ignore[index]


def test_unprocessed_keys_are_asked_again_and_merged_with_what_came() -> None:
    table = FakeDynamoDB(one_dimension({word: index for index, word in enumerate("abcd")}))

    def only_first(number: int, keys: list[Any]) -> Any:
        answer = table.batch_get_item(RequestItems={"words": {"Keys": keys[:1]}})
        return {**answer, "UnprocessedKeys": {"words": {"Keys": keys[1:]}} if keys[1:] else {}}

    client = FakeDynamoDB(table.attribute_of, only_first)
    found = reading(client).lookup("abcd")
    assert [float(found[word][0]) for word in "abcd"] == [0, 1, 2, 3]  # type: ignore[index]
    assert client.reads == [list("abcd"), list("bcd"), list("cd"), ["d"]]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_a_try(fault: Any) -> None:
    client = FakeDynamoDB(one_dimension({"a": 7}), lambda number, keys: fault(number, keys) if number <= 2 else None)
    assert reading(client).lookup(["a", "b"]) == {"a": np.float32(7), "b": None}
    assert len(client.reads) == 3
    assert client.closed == (2 if fault is timed_out else 0), "idle connections may be as dead as the one that failed"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_word_that_cannot_be_read_is_an_error_and_never_unknown(fault: Any) -> None:
    client = FakeDynamoDB(one_dimension({"a": 7}), fault)
    vectors = reading(client)
    started = time.monotonic()
    with pytest.raises(VectorsUnavailableError, match="table words, 1 words to read: "):
        vectors.lookup(["a"], deadline=started + 0.5)
    assert 0.1 < time.monotonic() - started < 5
    assert len(client.reads) > 1
    client.fault = lambda number, keys: None
    assert vectors.lookup(["a"])["a"] == np.float32(7), "the failure must not have been remembered"


def test_an_answer_that_does_not_come_is_given_up_at_the_deadline_and_the_next_request_works() -> None:
    over = threading.Event()
    client = FakeDynamoDB(one_dimension({"a": 7}), lambda number, keys: over.wait(30) and None)
    vectors = reading(client)
    started = time.monotonic()
    with pytest.raises(VectorsUnavailableError, match="table words, 801 words to read: no answer in time"):
        vectors.lookup([f"w{number}" for number in range(801)], deadline=started + 0.2)  # more than there are threads
    assert time.monotonic() - started < 5
    client.fault = lambda number, keys: None
    assert vectors.lookup(["a"])["a"] == np.float32(7)
    over.set()


def test_no_time_left_is_an_error_without_a_call() -> None:
    client = FakeDynamoDB(one_dimension({"a": 7}))
    with pytest.raises(VectorsUnavailableError, match="table words, 1 words to read: no time left"):
        reading(client).lookup(["a"], deadline=time.monotonic())
    assert client.reads == []


def test_without_a_deadline_a_lookup_is_patient_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []
    monkeypatch.setattr(retries, "complete", lambda call, keys, deadline, **_: deadlines.append(deadline))
    before = time.monotonic()
    reading(FakeDynamoDB(one_dimension({}))).lookup(["a"])
    assert before + 10 <= deadlines[0] <= time.monotonic() + 10


def test_an_error_that_no_retry_changes_is_raised_at_once(dynamodb: Any) -> None:
    vectors = WordVectors(lambda: dynamodb, "no-such-table", 1, cache_size=10)
    started = time.monotonic()
    with pytest.raises(
        VectorsError, match=r"table no-such-table, 1 words to read: .*ResourceNotFoundException"
    ) as raised:
        vectors.lookup(["a"])
    assert not isinstance(raised.value, VectorsUnavailableError)
    assert time.monotonic() - started < 5


def test_stale_credentials_are_replaced_by_a_new_client() -> None:
    def expired(number: int, keys: Any) -> Any:
        answer: Any = {"Error": {"Code": "ExpiredTokenException", "Message": "old"}, "ResponseMetadata": {}}
        raise ClientError(answer, "BatchGetItem")

    clients = [FakeDynamoDB(one_dimension({}), expired), FakeDynamoDB(one_dimension({"a": 7}))]
    fresh = iter(clients)
    vectors = WordVectors(lambda: next(fresh), "words", 1, cache_size=0)
    assert vectors.lookup(["a"])["a"] == np.float32(7)
    assert [len(client.reads) for client in clients] == [1, 1]


def test_cached_words_are_not_read_again_known_or_not() -> None:
    client = FakeDynamoDB(one_dimension({"a": 1}))
    vectors = reading(client, cache_size=2)
    first = vectors.lookup(["a", "x"])
    assert vectors.lookup(["x", "a"]) == {"x": None, "a": first["a"]}
    assert client.reads == [["a", "x"]]
    vectors.lookup(["b"])  # "x" is the least recently used
    vectors.lookup(["a"])
    assert client.reads == [["a", "x"], ["b"]]
    vectors.lookup(["x"])
    assert client.reads == [["a", "x"], ["b"], ["x"]]


def test_a_word_uploaded_while_the_function_is_warm_is_known_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1e9]
    monkeypatch.setattr("inference.word_vectors.time.time", lambda: now[0])
    table = {"a": 1.0}
    client = FakeDynamoDB(lambda word: one_dimension(table)(word))
    vectors = reading(client)
    assert vectors.lookup(["a", "b"]) == {"a": 1, "b": None}
    table.update(a=2, b=3)
    now[0] += 59
    assert vectors.lookup(["a", "b"]) == {"a": 1, "b": None}
    now[0] += 1
    assert vectors.lookup(["a", "b"]) == {"a": 1, "b": 3}
    now[0] += 3539
    assert vectors.lookup(["a"]) == {"a": 1}
    now[0] += 1
    assert vectors.lookup(["a"]) == {"a": 2}
    assert client.reads == [["a", "b"], ["b"], ["a"]]


def test_a_word_read_again_is_the_most_recently_used(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1e9]
    monkeypatch.setattr("inference.word_vectors.time.time", lambda: now[0])
    client = FakeDynamoDB(one_dimension({}))
    vectors = reading(client, cache_size=2)
    vectors.lookup(["a"])
    vectors.lookup(["b"])
    now[0] += 60
    vectors.lookup(["a"])
    vectors.lookup(["c"])
    vectors.lookup(["a"])
    assert client.reads == [["a"], ["b"], ["a"], ["c"]]


def test_without_a_cache_every_request_reads() -> None:
    client = FakeDynamoDB(one_dimension({"a": 1}))
    vectors = reading(client, cache_size=0)
    for _ in range(2):
        assert vectors.lookup(["a"])["a"] == np.float32(1)
    assert client.reads == [["a"], ["a"]]


def test_words_come_back_in_their_order_whatever_is_cached(dynamodb: Any, put: Any) -> None:
    put("b", [1.0])
    vectors = WordVectors(lambda: dynamodb, "words", 1, cache_size=10)
    vectors.lookup(["b", "d"])
    assert list(vectors.lookup(["x" * 3000, "a", "b", "c", "d"])) == ["x" * 3000, "a", "b", "c", "d"]


def test_sentences_are_padded_and_unknown_words_are_zero() -> None:
    vectors = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32), "x": None}
    words, lengths = embed([["a", "x", "b"], ["b", "y"]], vectors, 2)
    assert words.tolist() == [[[1, 2], [0, 0], [3, 4]], [[3, 4], [0, 0], [0, 0]]]
    assert (words.dtype, lengths.dtype) == (np.float32, np.int64)
    assert lengths.tolist() == [3, 2]
    assert embed([], vectors, 2)[0].shape == (0, 0, 2)


@given(st.lists(st.integers(1, 50), max_size=100), st.integers(1, 30))
def test_groups_hold_every_sentence_once_and_no_longer_one_before_a_shorter(lengths: list[int], size: int) -> None:
    groups = by_length([["w"] * length for length in lengths], size)
    rows = [int(row) for group in groups for row in group]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths)
    assert all(len(group) == size for group in groups[:-1])


def test_a_pass_takes_25_sentences_and_keeps_the_order_of_equal_ones() -> None:
    groups = by_length([["w"], ["w", "w"]] * 30)
    assert [len(group) for group in groups] == [25, 25, 10]
    assert np.concatenate(groups).tolist() == [*range(0, 60, 2), *range(1, 60, 2)]
