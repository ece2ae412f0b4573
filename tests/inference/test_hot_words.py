"""Hot words: the package's vectors in place of the table's, bit for bit; and no client for what is at hand."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.check import CheckError, check
from inference.hot_words import HotWords
from inference.item_format import encode_vector
from inference.service import Predict, Service
from inference.settings import Settings
from inference.word_vectors import Reading, WordVectors
from tests.conftest import KIM_VECTORS, ROOT, SAMPLE
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, committed
from toolkit.vectors import hot_words
from toolkit.vectors.file import VectorFile, read_vectors

Pack = Callable[..., HotWords]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Return hot words of a vector file, written and opened."""

    def packed(source: Path = SAMPLE, count: int = 10_000, format: str = "float32", **options: Any) -> HotWords:
        folder = tmp_path / f"hot-{count}-{format}"
        hot_words.write(folder, *hot_words.choose(VectorFile(source), count, format, **options), source)
        opened = HotWords.open(folder)
        assert opened
        return opened

    return packed


@pytest.fixture(scope="module")
def glove() -> dict[str, np.ndarray]:
    return dict(read_vectors(SAMPLE))


def never() -> Any:
    raise AssertionError("a client was made")


@pytest.mark.parametrize("format", ["float32", "float16"])
def test_hot_words_are_what_the_table_gives_to_the_bit(pack: Pack, format: str, glove: dict[str, np.ndarray]) -> None:
    client = FakeDynamoDB(lambda word: encode_vector(glove[word], format) if word in glove else None)
    words = [*list(glove)[:500], "nowhere-to-be-found"]
    read = WordVectors(lambda: client, "words", 50, 0).lookup(words)
    hot = WordVectors(lambda: client, "words", 50, 0, hot=pack(count=300, format=format)).lookup(words)
    assert list(hot) == list(read)
    for word, vector in read.items():
        assert (hot[word] is None) if vector is None else (vector.tobytes() == hot[word].tobytes()), word  # type: ignore[union-attr]


def test_only_the_words_that_are_not_hot_are_read_and_cached(pack: Pack, glove: dict[str, np.ndarray]) -> None:
    client = FakeDynamoDB(lambda word: encode_vector(glove[word]) if word in glove else None)
    hot, tail = list(glove)[:2], list(glove)[1000]
    vectors, reading = WordVectors(lambda: client, "words", 50, 1, hot=pack(count=2)), Reading()
    vectors.lookup([hot[0], tail, hot[1]], reading=reading)
    assert client.reads == [[tail]]
    assert (reading.hot, reading.cached, reading.calls) == (2, 0, 1)
    reading = Reading()
    vectors.lookup([*hot, tail], reading=reading)
    assert client.reads == [[tail]], "the one place of the cache is the tail's"
    assert (reading.hot, reading.cached, reading.calls) == (2, 1, 0)


def test_a_request_of_hot_words_makes_no_client(pack: Pack, glove: dict[str, np.ndarray]) -> None:
    vectors = WordVectors(never, "words", 50, 10, hot=pack(count=10))
    assert all(vector is not None for vector in vectors.lookup(list(glove)[:10]).values())


@pytest.mark.parametrize("handler", ["kim_handler", "sm_handler"])
def test_a_handler_starts_without_boto3(handler: str) -> None:
    code = f"import sys, {handler}; sys.exit(bool({{'boto3', 'botocore'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.integers(-9, 9), min_size=1, max_size=30), st.data())
def test_every_hot_word_is_found_and_no_other(table: dict[str, int], data: st.DataObject) -> None:
    hot = {word: number for word, number in table.items() if not word.endswith("\0") and _encodes(word)}
    if not hot:
        return
    words = sorted(word.encode() for word in hot)
    vectors = np.array([[hot[word.decode()]] for word in words], "<f4")
    asked = data.draw(st.lists(st.one_of(st.sampled_from(list(table)), st.text(max_size=13)), unique=True))
    found = HotWords(np.array(words), vectors, {}).find(asked)
    assert {word: int(vector[0]) for word, vector in found.items()} == {w: hot[w] for w in asked if w in hot}


def _encodes(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def test_a_sample_is_from_all_over_the_words(pack: Pack) -> None:
    hot = pack(count=300)
    every, some = hot.sample(1000), hot.sample(4)
    assert len(every) == 300 and every == sorted(every, key=str.encode)
    assert [every.index(word) for word in some] == [0, 99, 199, 299]


def test_a_lone_surrogate_is_no_question_mark() -> None:
    assert HotWords(np.array([b"?"]), np.zeros((1, 1), "<f4"), {}).find(["\ud800", "?"]).keys() == {"?"}


def test_a_word_with_a_zero_byte_at_its_end_is_not_the_word_without() -> None:
    assert HotWords(np.array([b"a", b"of"]), np.zeros((2, 1), "<f4"), {}).find(["a\0", "of"]).keys() == {"of"}


def test_vectors_of_another_length_are_refused(pack: Pack) -> None:
    with pytest.raises(ValueError, match="50 numbers each, but the model takes 300"):
        WordVectors(never, "words", 300, 10, hot=pack(count=1))


def checked(predict: Predict, table: dict[str, np.ndarray], hot: HotWords) -> None:
    client = FakeDynamoDB(lambda word: encode_vector(table[word]) if word in table else None)
    check(Service(predict, committed(predict), WordVectors(lambda: client, "words", 50, 0, hot=hot), Settings()), 1e9)


class TestTheCheckBeforeTraffic:
    """It compares hot words with the table."""

    @pytest.mark.parametrize(("predict", "source"), [(KIM, KIM_VECTORS), (SM, SAMPLE)], ids=["kim", "sm"])
    def test_it_passes_with_one_file_in_both(self, predict: Predict, source: Path, pack: Pack) -> None:
        checked(predict, dict(read_vectors(source)), pack(source))

    def test_it_refuses_the_table_of_another_file(self, pack: Pack, glove: dict[str, np.ndarray]) -> None:
        with pytest.raises(CheckError, match=r"table words has another vector for the hot word '.*' of glove\.6B"):
            checked(SM, {word: 2 * vector for word, vector in glove.items()}, pack())

    def test_it_refuses_vectors_in_another_order(self, pack: Pack, glove: dict[str, np.ndarray]) -> None:
        words = list(glove)
        others = dict(zip(words, (glove[word] for word in [words[-1], *words[:-1]]), strict=True))
        with pytest.raises(CheckError, match="has another vector for the hot word"):
            checked(SM, others, pack())

    def test_it_refuses_one_changed_word_of_its_request(self, pack: Pack, glove: dict[str, np.ndarray]) -> None:
        word = committed(SM).check["request"]["sent1"].split()[0]  # type: ignore[index]
        changed = {**glove, word: np.nextafter(glove[word], np.float32(9))}
        with pytest.raises(CheckError, match=f"has another vector for the hot word '{word}'"):
            checked(SM, changed, pack())

    def test_it_refuses_an_empty_table_though_all_words_of_its_request_are_hot(self, pack: Pack) -> None:
        with pytest.raises(CheckError, match="table words does not have the hot word"):
            checked(SM, {}, pack())
