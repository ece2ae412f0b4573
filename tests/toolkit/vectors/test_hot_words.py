"""Which words of a vector file become hot words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from inference.hot_words import HotWords
from toolkit.vectors.file import BadLineError, VectorFile, VectorFileError
from toolkit.vectors.hot_words import choose

Write = Callable[..., Path]
LONG = "longer-than-thirty-two-bytes-by-far"


def hot(path: Path, count: int, **options: set[str]) -> dict[str, list[float]]:
    words, vectors = choose(VectorFile(path), count, "float32", **options)
    found = HotWords(words, vectors, {}).find(["a", "b", "c", "d", LONG])
    return {word: vector.tolist() for word, vector in found.items()}


def test_the_first_of_the_file_and_of_duplicates(vector_file: Write) -> None:
    path = vector_file("b 1 1", "a 2 2", "b 9 9", f"{LONG} 3 3", "c 4 4", "d 5 5")
    assert hot(path, 2) == {"b": [1, 1], "a": [2, 2]}
    assert hot(path, 3, wanted={"b", "c", "d", LONG}) == {"b": [1, 1], "c": [4, 4], "d": [5, 5]}


def test_a_bad_line_and_a_list_of_other_words_are_errors(vector_file: Write) -> None:
    path = vector_file("a 1 1", "b 1 x", "c 1 1")
    assert hot(path, 1) == {"a": [1, 1]}, "what is not packed is not parsed"
    with pytest.raises(BadLineError, match="line 2"):
        hot(path, 2)
    with pytest.raises(VectorFileError, match="has none of the words to pack"):
        hot(path, 1, wanted={"z"})
