"""Reads of the word vector table: formats, batches, retries, cache, and never a wrong vector."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference import word_vectors
from inference.word_vectors import (
    BrokenVectorError,
    VectorsRefusedError,
    VectorsUnavailableError,
    WordVectors,
    by_length,
    decode_vector,
    embed,
    encode_vector,
)
from toolkit.vectors.file import read_vectors

SAMPLE = Path(__file__).parents[2] / "data/glove.6B.50d.sample.txt.gz"
FINITE32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


class CountingClient:
    """Passes BatchGetItem on to a client and keeps the keys of each call; `before` may answer instead."""

    def __init__(self, client: Any, before: Any = None) -> None:
        self.client, self.before, self.calls = client, before, []
        self.close = client.close
        self.lock = threading.Lock()

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((table, wanted),) = RequestItems.items()
        with self.lock:
            self.calls.append([key["word"]["S"] for key in wanted["Keys"]])
            number = len(self.calls)
        answer = self.before(number, table, wanted["Keys"]) if self.before else None
        return answer or self.client.batch_get_item(RequestItems=RequestItems)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors, "BACKOFF_BASE", 0.001)


def throttled(number: int, table: str, keys: Any) -> Any:
    code = "ProvisionedThroughputExceededException"
    answer = {"Error": {"Code": code, "Message": "slow down"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    raise ClientError(answer, "BatchGetItem")


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=FINITE32))
def test_float32_and_list_items_give_back_every_bit(vector: np.ndarray) -> None:
    for format in ("float32", "list"):
        decoded = decode_vector(encode_vector(vector, format), len(vector))
        assert decoded.dtype == np.float32
        np.testing.assert_array_equal(decoded, vector)


@given(hnp.arrays(np.float16, st.integers(1, 40), elements=st.floats(width=16, allow_nan=False, allow_infinity=False)))
def test_float16_items_give_back_every_bit_of_a_float16(vector: np.ndarray) -> None:
    decoded = decode_vector(encode_vector(vector.astype(np.float32), "float16"), len(vector))
    np.testing.assert_array_equal(decoded, vector.astype(np.float32))


def test_float16_as_other_programs_write_it_is_read(dynamodb: Any, put: Any) -> None:
    vector = np.random.default_rng(0).normal(size=50).astype(np.float16)
    put("half", {"B": vector.astype("<f2").tobytes()})
    found = WordVectors(dynamodb, "words", 50, cache_size=10).lookup(["half"])
    np.testing.assert_array_equal(found["half"], vector.astype(np.float32))


def test_real_vectors_of_half_the_dim_are_refused() -> None:
    for _, vector in itertools.islice(read_vectors(SAMPLE), 10_000):
        with pytest.raises(ValueError, match="200 bytes, not the 400 or 201 of 100 numbers"):
            decode_vector({"B": vector.astype("<f4").tobytes()}, 100)


def test_float16_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ValueError, match="out of the range of float16"):
        encode_vector(np.array([1e6], np.float32), "float16")


@pytest.mark.parametrize(
    ("attribute", "complaint"),
    [
        ({"B": b"\0" * 10}, "10 bytes, not the 16 or 9 of 4 numbers"),
        ({"B": np.full(4, np.nan, "<f4").tobytes()}, "not a finite number"),
        ({"L": [{"N": "1"}] * 3}, "3 numbers, not 4"),
        ({"L": [{"S": "one"}] * 4}, "other than numbers"),
        ({"L": [{"N": "one"}] * 4}, "other than numbers"),
        ({"S": "0.1 0.2"}, "neither binary nor a list but S"),
        ({}, "neither binary nor a list but empty"),
    ],
)
def test_an_unusable_vector_is_an_error_that_names_table_and_word(
    attribute: dict[str, Any], complaint: str, dynamodb: Any, put: Any
) -> None:
    with pytest.raises(ValueError, match=complaint):
        decode_vector(attribute, 4)
    if attribute:
        put("bad", attribute)
    else:
        dynamodb.put_item(TableName="words", Item={"word": {"S": "bad"}})
    with pytest.raises(BrokenVectorError, match=f"table words, 1 words to read: word 'bad': .*{complaint}"):
        WordVectors(dynamodb, "words", 4, cache_size=10).lookup(["bad"])


def test_known_words_have_their_vectors_and_unknown_ones_none(dynamodb: Any, put: Any) -> None:
    put("one", [1, 2])
    put("half", [0.5, 0.25], "float16")
    put("old", [3, 4], "list")
    found = WordVectors(dynamodb, "words", 2, cache_size=10).lookup(["one", "half", "old", "other"])
    assert {word: None if vector is None else vector.tolist() for word, vector in found.items()} == {
        "one": [1, 2],
        "half": [0.5, 0.25],
        "old": [3, 4],
        "other": None,
    }


def test_duplicate_and_impossible_words_never_reach_the_table(dynamodb: Any, put: Any) -> None:
    put("a", [1])
    impossible = ["", "é" * 1025, "\ud800"]  # empty, over 2,048 bytes, a lone surrogate
    client = CountingClient(dynamodb)
    found = WordVectors(client, "words", 1, cache_size=0).lookup(["a", *impossible, "a"])
    assert client.calls == [["a"]]
    assert found["a"] is not None
    assert [found[word] for word in impossible] == [None] * 3


def test_over_a_hundred_words_take_several_calls_at_once(dynamodb: Any, put: Any) -> None:
    words = [f"w{index}" for index in range(250)]
    for index, word in enumerate(words):
        put(word, [index])
    together = threading.Barrier(3, timeout=10)  # passes only when three calls are under way at the same time

    def meet(*_: Any) -> None:
        together.wait()

    client = CountingClient(dynamodb, meet)
    found = WordVectors(client, "words", 1, cache_size=1000).lookup(words)
    assert sorted(map(len, client.calls)) == [50, 100, 100]
    assert [float(found[word][0]) for word in words] == list(range(250))  # type: ignore[index]


def test_unprocessed_keys_are_asked_again_and_merged_with_what_came(dynamodb: Any, put: Any) -> None:
    for index, word in enumerate("abcd"):
        put(word, [index])

    def only_first(number: int, table: str, keys: list[Any]) -> Any:
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys[:1]}})
        return {**answer, "UnprocessedKeys": {table: {"Keys": keys[1:]}} if keys[1:] else {}}

    client = CountingClient(dynamodb, only_first)
    found = WordVectors(client, "words", 1, cache_size=10).lookup("abcd")
    assert [float(found[word][0]) for word in "abcd"] == [0, 1, 2, 3]  # type: ignore[index]
    assert client.calls == [list("abcd"), list("bcd"), list("cd"), ["d"]]


def test_a_throttled_word_is_read_in_the_end(dynamodb: Any, put: Any) -> None:
    put("a", [7])

    def throttle_twice(number: int, table: str, keys: Any) -> Any:
        return throttled(number, table, keys) if number <= 2 else None

    client = CountingClient(dynamodb, throttle_twice)
    assert WordVectors(client, "words", 1, cache_size=10).lookup(["a"])["a"] == np.float32(7)
    assert len(client.calls) == 3


def timed_out(number: int, table: str, keys: Any) -> Any:
    raise ReadTimeoutError(endpoint_url="https://dynamodb")


def unprocessed(number: int, table: str, keys: Any) -> Any:
    return {"Responses": {table: []}, "UnprocessedKeys": {table: {"Keys": keys}}}


@pytest.mark.parametrize("fault", [throttled, timed_out, unprocessed])
def test_a_word_that_cannot_be_read_is_an_error_and_never_unknown(fault: Any, dynamodb: Any, put: Any) -> None:
    put("a", [7])
    client = CountingClient(dynamodb, fault)
    vectors = WordVectors(client, "words", 1, cache_size=10)
    started = time.monotonic()
    with pytest.raises(VectorsUnavailableError, match="table words, 1 words to read: 1 of them unread after"):
        vectors.lookup(["a"], deadline=started + 0.05)
    assert time.monotonic() - started < 2
    client.before = None
    assert vectors.lookup(["a"])["a"] == np.float32(7), "the failure must not have been remembered"


def test_what_no_retry_can_mend_is_raised_at_once(dynamodb: Any) -> None:
    client = CountingClient(dynamodb)
    with pytest.raises(VectorsRefusedError, match=r"table no-such-table, 1 words to read: .*ResourceNotFoundException"):
        WordVectors(client, "no-such-table", 1, cache_size=10).lookup(["a"])
    assert len(client.calls) == 1


def test_cached_words_are_not_read_again_known_or_not(dynamodb: Any, put: Any) -> None:
    put("a", [1])
    client = CountingClient(dynamodb)
    vectors = WordVectors(client, "words", 1, cache_size=2)
    first = vectors.lookup(["a", "x"])
    assert vectors.lookup(["x", "a"]) == {"x": None, "a": first["a"]}
    assert client.calls == [["a", "x"]]
    vectors.lookup(["b"])  # "x" is the least recently used
    vectors.lookup(["a"])
    assert client.calls == [["a", "x"], ["b"]]
    vectors.lookup(["x"])
    assert client.calls == [["a", "x"], ["b"], ["x"]]


def test_sentences_are_padded_and_unknown_words_are_zero() -> None:
    vectors = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32), "x": None}
    words, lengths = embed([["a", "x", "b"], ["b"]], vectors, 2)
    assert words.tolist() == [[[1, 2], [0, 0], [3, 4]], [[3, 4], [0, 0], [0, 0]]]
    assert words.dtype == np.float32
    assert lengths.tolist() == [3, 1]


@given(st.lists(st.integers(1, 50), max_size=100), st.integers(1, 30))
def test_groups_hold_every_sentence_once_and_no_longer_one_before_a_shorter(lengths: list[int], size: int) -> None:
    groups = by_length([["w"] * length for length in lengths], size)
    rows = [int(row) for group in groups for row in group]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths)
    assert all(len(group) == size for group in groups[:-1])
