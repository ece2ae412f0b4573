"""Items of the table: what is written is read, bit by bit, and nothing else is taken for a vector."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference.item_format import FORMATS, BadItemError, can_be_key, decode_items, decode_vector, encode_vector
from toolkit.vectors.file import read_vectors

SAMPLE = Path(__file__).parents[2] / "data/glove.6B.50d.sample.txt.gz"
FINITE32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
FINITE16 = st.floats(width=16, allow_nan=False, allow_infinity=False)


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=FINITE32), st.sampled_from(["float32", "list"]))
def test_float32_and_list_items_give_back_every_bit(vector: np.ndarray, format: str) -> None:
    decoded = decode_vector(encode_vector(vector, format), len(vector))
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, vector)


@given(hnp.arrays(np.float16, st.integers(1, 40), elements=FINITE16))
def test_float16_items_give_back_every_bit_of_a_float16(vector: np.ndarray) -> None:
    decoded = decode_vector(encode_vector(vector.astype(np.float32), "float16"), len(vector))
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, vector.astype(np.float32))


def test_the_default_is_little_endian_float32() -> None:
    assert encode_vector(np.array([1, -2], np.float32)) == {"B": b"\0\0\x80\x3f\0\0\0\xc0"}
    assert encode_vector(np.array([1, -2], np.float32), "float16") == {"B": b"\0\x3c\0\xc0\0"}
    assert encode_vector(np.array([1.5], np.float32), "list") == {"L": [{"N": "1.5"}]}


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(FORMATS))
def test_a_vector_of_another_length_is_never_read(dim: int, wanted: int, format: str) -> None:
    attribute = encode_vector(np.ones(dim, np.float32), format)
    if dim == wanted:
        np.testing.assert_array_equal(decode_vector(attribute, wanted), np.ones(dim))
    else:
        with pytest.raises(
            ValueError, match=f"not {'' if format == 'list' else 'the '}{wanted if format == 'list' else 4 * wanted}"
        ):
            decode_vector(attribute, wanted)


def test_real_vectors_of_half_the_dimensions_are_refused() -> None:
    for _, vector in itertools.islice(read_vectors(SAMPLE), 10_000):
        with pytest.raises(
            ValueError, match=r"200 bytes, not the 400 \(float32\) or 201 \(float16\) of 100 dimensions"
        ):
            decode_vector({"B": vector.astype("<f4").tobytes()}, 100)


def test_float16_as_other_programs_write_it_is_refused_and_the_message_names_the_byte_it_lacks() -> None:
    half = np.random.default_rng(0).normal(size=50).astype("<f2").tobytes()
    with pytest.raises(ValueError, match=r"100 bytes, not the 200 .* float16 needs a zero byte behind it"):
        decode_vector({"B": half}, 50)
    assert len(decode_vector({"B": half + b"\0"}, 50)) == 50


def test_float16_refuses_what_it_cannot_hold() -> None:
    for value in (1e6, -1e6):
        with pytest.raises(ValueError, match="out of the range of float16"):
            encode_vector(np.array([0, value], np.float32), "float16")


BAD = [
    ({"B": b"\0" * 10}, r"10 bytes, not the 16 \(float32\) or 9 \(float16\) of 4 dimensions$"),
    ({"B": np.full(4, np.nan, "<f4").tobytes()}, "not a finite number"),
    ({"B": np.array([0, 0, 0, np.inf], "<f4").tobytes()}, "not a finite number"),
    ({"B": np.full(4, np.nan, "<f2").tobytes() + b"\0"}, "not a finite number"),
    ({"L": [{"N": "1"}] * 3}, "3 dimensions, not 4"),
    ({"L": [{"S": "one"}] * 4}, "other than numbers"),
    ({"L": [{"N": "one"}] * 4}, "other than numbers"),
    ({"L": [{"N": "1e99"}] * 4}, "not a finite number"),
    ({"S": "0.1 0.2"}, "neither binary nor a list but S"),
    ({}, "neither binary nor a list but empty"),
]


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize(("attribute", "complaint"), BAD)
def test_an_unusable_vector_is_an_error_that_names_its_word(attribute: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decode_vector(attribute, 4)
    good = {"word": {"S": "good"}, "vector": encode_vector(np.zeros(4, np.float32))}
    bad = {"word": {"S": "bad"}, "vector": attribute} if attribute else {"word": {"S": "bad"}}
    with pytest.raises(BadItemError, match=f"^word 'bad': .*{complaint}"):
        decode_items([good, bad], 4)
    assert list(decode_items([good], 4)) == ["good"]


@pytest.mark.parametrize(
    ("word", "can"),
    [("a", True), (" ", True), ("", False), ("é" * 1024, True), ("é" * 1024 + "a", False), ("\ud800", False)],
)
def test_what_can_be_a_key_of_dynamodb(word: str, can: bool) -> None:
    assert can_be_key(word) is can
