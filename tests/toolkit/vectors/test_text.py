"""Word2vec text: what is written is read back, bit for bit."""

import io
from itertools import starmap

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.vectors.text import to_line, to_text, write_text


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_numbers_are_spelled_so_that_they_come_back(values: list[float]) -> None:
    vector = np.array(values, np.float32)
    assert np.array(to_text(vector).split(" "), np.float32).tobytes() == vector.tobytes()


def test_a_header_then_a_word_a_line() -> None:
    output = io.StringIO()
    words = {"ice": np.array([0.5, -1], np.float32), "the": np.array([1e-9, 3], np.float32)}
    write_text(output, 2, 2, starmap(to_line, words.items()))
    assert output.getvalue() == "2 2\nice 0.5 -1.0\nthe 1e-09 3.0\n"
