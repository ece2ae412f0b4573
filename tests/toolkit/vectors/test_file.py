"""The vector reader: real files of each kind, words and values of every sort, bad lines named."""

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st

from toolkit.vectors.file import BadLineError, VectorFile, VectorFileError, parse_numbers, read_vectors

SAMPLE = Path(__file__).parents[2] / "data/glove.6B.50d.sample.txt.gz"

Write = Callable[..., Path]
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


def write_binary(path: Path, vectors: dict[str, np.ndarray], newline: bytes = b"") -> Path:
    dim = len(next(iter(vectors.values())))
    rows = (f"{word} ".encode() + vector.astype("<f4").tobytes() + newline for word, vector in vectors.items())
    path.write_bytes(f"{len(vectors)} {dim}\n".encode() + b"".join(rows))
    return path


def test_reads_the_sample_as_gensim_does() -> None:
    expected = KeyedVectors.load_word2vec_format(SAMPLE, binary=False)
    words, vectors = zip(*read_vectors(SAMPLE), strict=True)
    assert list(words) == expected.index_to_key
    assert np.array_equal(np.array(vectors), expected.vectors)


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_reads_binary_files_as_gensim_does(tmp_path: Path, newline: bytes) -> None:
    sample = dict(list(read_vectors(SAMPLE))[:3000])
    path = write_binary(tmp_path / "vectors.bin", sample, newline)
    expected = KeyedVectors.load_word2vec_format(path, binary=True)
    found = dict(read_vectors(path))
    assert list(found) == expected.index_to_key
    assert np.array_equal(np.array(list(found.values())), expected.vectors)


def test_reads_the_same_packed(tmp_path: Path) -> None:
    path = write_binary(tmp_path / "vectors", {"a": np.array([1.5, -2]), "b": np.array([0, 1e-30])})
    packed = tmp_path / "packed.bin.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert [word for word, _ in read_vectors(packed)] == ["a", "b"]


@pytest.mark.skipif("SERVERLESS_INFERENCE_DATA" not in os.environ, reason="needs the data sets")
def test_binary_and_text_of_a_real_set_hold_the_same() -> None:
    folder = Path(os.environ["SERVERLESS_INFERENCE_DATA"]) / "vectors"
    text, binary = (VectorFile(folder / f"glove.6B.50d.subset.{kind}.gz") for kind in ("txt", "bin"))
    for one, other in zip(text.records(), binary.records(), strict=True):
        assert text.word(one) == binary.word(other)
        assert text.vector(one).tobytes() == binary.vector(other).tobytes()


@pytest.mark.skipif("SERVERLESS_INFERENCE_DATA" not in os.environ, reason="needs the data sets")
def test_reads_the_real_googlenews() -> None:
    path = Path(os.environ["SERVERLESS_INFERENCE_DATA"]) / "vectors" / "GoogleNews.300d.top1000.normalized.txt.gz"
    vectors = dict(read_vectors(path))
    assert len(vectors) == 1000
    assert np.allclose(np.linalg.norm(list(vectors.values()), axis=1), 1, atol=1e-3)


def test_words_of_glove_text_may_hold_spaces(vector_file: Write) -> None:
    path = vector_file("the 1 2 3", ". . . 4 5 6", "at name@domain.com 7 8 9", "a\u00a0b 1 1 1", "x\u2028y 2 2 2")
    assert [word for word, _ in read_vectors(path)] == ["the", ". . .", "at name@domain.com", "a\u00a0b", "x\u2028y"]


def test_a_first_word_with_a_space_does_not_change_the_dimension(vector_file: Write) -> None:
    path = vector_file("new york 1 2", "a 3 4", "b 5 6")
    assert {word: vector.tolist() for word, vector in read_vectors(path)} == {
        "new york": [1, 2],
        "a": [3, 4],
        "b": [5, 6],
    }


def test_takes_spaces_at_line_ends_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"2 2\r\na 1 2 \r\nb 3 4\r\n")
    assert [(word, vector.tolist()) for word, vector in read_vectors(path)] == [("a", [1, 2]), ("b", [3, 4])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("bad 1 2", "2 values, not 3"),
        ("bad 1 2 3 4", "4 values, not 3"),
        ("bad 1 x 3", "'x' is not a number"),
        ("bad 1 true 3", "'true' is not a number"),
        ("bad 1 [2] 3", "'[2]' is not a number"),
        ("bad 1 2,5 3", "'2,5' is not a number"),
        ("bad 1 nan 3", "NaN"),
        ("bad 1 inf 3", "infinite"),
        ("bad 1 1e39 3", "out of the range of float32"),
        ("bad 1 1e400 3", "out of the range of float32"),
        (" 1 2 3", "an empty word"),
        ("", "an empty word"),
        ("bad", "0 values, not 3"),
        ("é" * 1025 + " 1 2 3", "a word of 2050 bytes, over the 2048"),
    ],
)
def test_names_file_and_line_of_a_bad_line(vector_file: Write, line: str, reason: str) -> None:
    good = [f"word{number} 1 2 3" for number in range(10)]
    path = vector_file("12 3", *good[:5], line, *good[5:], "last 1 2 3")
    with pytest.raises(BadLineError, match=re.escape(f"{path}, line 7: ") + ".*" + re.escape(reason)):
        list(read_vectors(path))


def test_a_word_that_is_not_utf8_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"a 1 2\n" * 300_000 + b"\xff\xfe 1 2\n")
    with pytest.raises(BadLineError, match=r"line 300001: the word .* is not UTF-8"):
        list(read_vectors(path))


def test_a_bad_word_of_a_binary_file_is_named_by_its_number(tmp_path: Path) -> None:
    path = write_binary(tmp_path / "v.bin", {"a": np.array([1.0, 2]), "b": np.array([np.nan, 0])})
    with pytest.raises(BadLineError, match=r"v\.bin, word 2: .*NaN"):
        list(read_vectors(path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 10,
        b"PK\x03\x04" + bytes(100),
        b'{"a": [1, 2, 3]}\n',
        b"word,count\nthe,23135851162\nof,13151942776\n",
        b"the\nof\nand\n",
        b"Some prose, which has words.\nAnd more of it here, all words.\n",
        b"400000 50\n",
        b"3 2\na 1 2\nb 3 4\n",  # a line too few
        b"1 2\na 1 2\nb 3 4\n",  # a line too many
        b"2 2\na \x00\x00\x80\x3f\x00\x00\x80\x3fb \x00\x00",
    ],
)
def test_refuses_other_and_cut_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=re.escape(str(path))):
        list(read_vectors(path))


def test_refuses_a_cut_gzip_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(SAMPLE.read_bytes()[:-5000])
    with pytest.raises(VectorFileError, match=r"cut\.txt\.gz: broken gzip file"):
        list(read_vectors(path))


@given(st.lists(finite, min_size=1, max_size=20), st.sampled_from(["repr", "%.9g", "%.8e", "%.60f"]))
def test_numbers_come_back_bit_for_bit(values: list[float], spelling: str) -> None:
    text = " ".join(repr(value) if spelling == "repr" else spelling % value for value in values)
    assert parse_numbers(text.encode()).tobytes() == np.array(values, np.float32).tobytes()


@pytest.mark.parametrize(
    "text", ["-0", "-0 1", "1 -0", "-0.0 2", "+1 .5 1. 01", "1E5 1e-05", "16777217 9007199254740993"]
)
def test_numbers_of_unusual_spelling_are_read_as_python_reads_them(text: str) -> None:
    assert parse_numbers(text.encode()).tobytes() == np.array([float(each) for each in text.split()], "f4").tobytes()


words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=40).filter(
    lambda word: word.strip()
)


@given(st.dictionaries(words, st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=20), st.booleans())
def test_any_words_and_values_are_read_back(tmp_path_factory, vectors: dict[str, list[float]], header: bool) -> None:
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    lines = [f"{word} {' '.join(map(repr, values))}\n" for word, values in vectors.items()]
    path.write_text((f"{len(vectors)} 3\n" if header else "") + "".join(lines), encoding="utf-8", newline="\n")
    found = {word: vector.tobytes() for word, vector in read_vectors(path)}
    assert found == {word: np.array(values, np.float32).tobytes() for word, values in vectors.items()}
