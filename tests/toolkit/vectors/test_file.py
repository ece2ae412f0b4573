"""The vector reader: real files of each kind, words and values of every sort, bad lines named."""

import bz2
import gzip
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath
from hypothesis import given
from hypothesis import strategies as st

from toolkit.compression import DamagedFileError
from toolkit.vectors.file import BadLineError, VectorFile, VectorFileError, parse_numbers, read_vectors

SAMPLE = Path(__file__).parents[3] / "data/glove.6B.50d.sample.txt.gz"

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


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_reads_the_same_compressed(tmp_path: Path, compress: Any) -> None:
    path = write_binary(tmp_path / "vectors", {"a": np.array([1.5, -2]), "b": np.array([0, 1e-30])})
    compressed = tmp_path / "of_any_name"
    compressed.write_bytes(compress(path.read_bytes()))
    assert [word for word, _ in read_vectors(compressed)] == ["a", "b"]


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


@pytest.mark.parametrize("beginning", ["2\t2\n", "2  2\n", " 2 2 \n", "\ufeff2 2\n", "\ufeff", "", "2 2\r\n"])
@pytest.mark.parametrize("ending", ["", "\n", "\n\r\n"])
def test_takes_blank_lines_at_the_end_and_any_spelling_of_the_header(
    tmp_path: Path, beginning: str, ending: str
) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(f"{beginning}a 1 2\nb 3 4\n{ending}", encoding="utf-8", newline="")
    assert [(word, vector.tolist()) for word, vector in read_vectors(path)] == [("a", [1, 2]), ("b", [3, 4])]


BAD_WORDS = {b"caf\xe9": "the word b'caf\\xe9' is not UTF-8", b"\xff\xfe": "is not UTF-8", b"a\tb": "a tab in the word"}


@pytest.mark.parametrize("header", [True, False], ids=["word2vec", "GloVe"])
@pytest.mark.parametrize("spelling", ["%.4f", "%.6f", "%.5g"])
@pytest.mark.parametrize("dim", [2, 5, 10, 50, 300])
def test_one_bad_word_does_not_make_text_binary_wherever_it_stands(
    tmp_path: Path, dim: int, spelling: str, header: bool
) -> None:
    rng = np.random.default_rng(dim)
    rows = [" ".join(spelling % value for value in row) for row in rng.normal(size=(300, dim)).tolist()]
    path = tmp_path / "vectors.txt"
    for place, (word, reason) in zip((0, 1, 299), BAD_WORDS.items(), strict=True):
        words = [f"w{number}".encode() for number in range(300)]
        words[place] = word
        lines = [name + b" " + row.encode() + b"\n" for name, row in zip(words, rows, strict=True)]
        path.write_bytes(b"300 %d\n" % dim * header + b"".join(lines))
        file = VectorFile(path)
        assert (file.binary, file.dim) == (False, dim)
        good = 0
        for record in file.records():
            if record.number == place + 1 + header:
                with pytest.raises(BadLineError, match=f"line {record.number}: .*" + re.escape(reason)):
                    file.parse(record)
            else:
                file.parse(record)
                good += 1
        assert good == 299


def test_a_control_character_is_part_of_a_word_as_in_gensim(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"2 3\na\x01b 1 2 3\nc 4 5 6\n")
    assert [word for word, _ in read_vectors(path)] == KeyedVectors.load_word2vec_format(path).index_to_key


def test_reads_a_real_file_with_words_that_are_not_utf8() -> None:
    path = Path(datapath("pang_lee_polarity_fasttext.vec"))
    expected = KeyedVectors.load_word2vec_format(path, unicode_errors="ignore")
    file, found, bad = VectorFile(path), {}, []
    for record in file.records():
        try:
            word, vector = file.parse(record)
            found[word] = vector
        except BadLineError:
            bad.append(record.number)
    assert bad == [150, 284, 435, 444, 1573]
    assert len(found) == 1689
    assert all(np.array_equal(vector, expected[word]) for word, vector in found.items())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("w\t1 2 3", "a tab in the word"),
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
    path.write_bytes(b"word 1.000000 2.000000\n" * 50_000 + b"\xff\xfe 1 2\n")
    with pytest.raises(BadLineError, match=r"line 50001: the word .* is not UTF-8"):
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
        b"word\t1 2 3\nother\t4 5 6\n",  # a tab behind the word
        b"the 23135851162\nof 13151942776\n",  # counts
        b"2 3\na 1 2\nb 3 4\n",  # a header that says other dimensions
    ],
)
def test_refuses_other_and_cut_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=re.escape(str(path))):
        list(read_vectors(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(50), "a zip archive; unzip it first: unzip "),
        (gzip.compress(gzip.compress(b"a 1 2\n")), "compressed twice"),
        (Path(datapath("lee_fasttext_new.bin")).read_bytes(), r"a fastText model; .*word2vec_bin_to_txt\.py"),
        (
            Path(datapath("word2vec_pre_kv_py3")).read_bytes(),
            r"a Python pickle, .*word2vec_bin_to_txt\.py .*--unpickle",
        ),
        (
            Path(datapath("word2vec_pre_kv_sep_py3.syn0.npy")).read_bytes(),
            "numbers of a gensim model, without its words",
        ),
    ],
    ids=["zip", "gz in gz", "fastText", "gensim", "npy"],
)
def test_a_file_of_another_kind_says_which_and_how_to_convert_it(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(VectorFileError, match=message):
        VectorFile(path)


BINARY = b"2 2\n" + b"a " + np.array([1, 2], "<f4").tobytes() + b"%b" + np.array([3, 4], "<f4").tobytes() + b"%b"


@pytest.mark.parametrize(
    ("second", "rest", "reason"),
    [
        (b"b\nc ", b"", r"word 2: a line end in the word b'b\\nc'"),
        (b"\n\nb ", b"", "word 2: a line end in the word"),
        (b"b ", b"c " + bytes(8), "goes on behind the last of the 2 words"),
        (b"b ", b"\n ", "goes on behind the last of the 2 words"),
    ],
)
def test_a_binary_file_with_a_line_end_in_a_word_or_bytes_left_over_is_an_error(
    tmp_path: Path, second: bytes, rest: bytes, reason: str
) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(BINARY % (second, rest))
    with pytest.raises(VectorFileError, match=reason) as error:
        list(read_vectors(path))
    assert not isinstance(error.value, BadLineError)  # not to be skipped
    path.write_bytes(BINARY % (b"\nb ", b"\n"))
    assert [word for word, _ in read_vectors(path)] == ["a", "b"]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", [lambda data: data[:-100], lambda data: data[:900] + bytes(100) + data[1000:]])
def test_refuses_a_damaged_compressed_file(tmp_path: Path, compress: Any, damage: Any) -> None:
    path = tmp_path / "cut.txt"
    path.write_bytes(damage(compress(gzip.decompress(SAMPLE.read_bytes())[:10_000])))
    with pytest.raises(DamagedFileError, match=r"cut\.txt: damaged compressed file"):
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
def test_any_words_and_values_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, list[float]], header: bool
) -> None:
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    lines = [f"{word} {' '.join(map(repr, values))}\n" for word, values in vectors.items()]
    path.write_text((f"{len(vectors)} 3\n" if header else "") + "".join(lines), encoding="utf-8", newline="\n")
    found = {word: vector.tobytes() for word, vector in read_vectors(path)}
    assert found == {word: np.array(values, np.float32).tobytes() for word, values in vectors.items()}
