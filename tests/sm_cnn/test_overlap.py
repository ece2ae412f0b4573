"""Features of pairs: what they are said to be, the same for an answer alone and in a list, without torch."""

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.word_vectors import embed
from sm_cnn import overlap
from tests.conftest import ROOT

QUESTION = "who formed the glacier caves ?".split()
ANSWERS = [
    "the glacier is forming a cave .".split(),
    "who knows ?".split(),
    "nothing in common".split(),
]
# Not standardised: 4 documents, `glacier` in 2 of them, `cave` in 3.
PLAIN = {
    "documents": 4,
    "document_frequency": "cave 3\nglacier 2",
    "stop_words": "who the is a",
    "mean": [0.0] * 4,
    "scale": [1.0] * 4,
}
# With every feature, not standardised.
ALL = {
    **PLAIN,
    "mean": [0.0] * overlap.FEATURES,
    "scale": [1.0] * overlap.FEATURES,
    "year_words": "when",
    "amount_words": "many",
    "numerals": "two",
}
FIRST, LENGTH, NUMBER, CLOSENESS, WEIGHTED = range(overlap.OVERLAPS, overlap.FEATURES)  # the columns after the overlaps
VECTORS = {
    "glacier": np.array([2, 0], np.float32),
    "ice": np.array([3, 4], np.float32),  # a cosine of 0.6 with glacier
    "cave": np.array([0, 1], np.float32),
    "nothing": np.array([-1, -1], np.float32),
    "caves": None,
}
sentences = st.lists(st.sampled_from([*QUESTION, *ANSWERS[0], "unseen", "'s", "--"]), min_size=1, max_size=8)


def test_shares_of_the_question_by_stems_with_and_without_idf_and_stop_words() -> None:
    idf = {"who": math.log(4), "form": math.log(4), "the": math.log(4), "glacier": math.log(2), "cave": math.log(4 / 3)}
    shared = idf["the"] + idf["glacier"] + idf["form"] + idf["cave"]
    expected: list[list[float]] = [
        [4 / 5, shared / sum(idf.values()), 3 / 3, 1.0],
        [1 / 5, idf["who"] / sum(idf.values()), 0, 0],
        [0, 0, 0, 0],
    ]
    found = overlap.features(PLAIN, QUESTION, ANSWERS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def features(data: dict[str, Any], question: list[str], answers: list[list[str]]) -> np.ndarray:
    """Return the features, the words' vectors being those of VECTORS."""
    return overlap.features(
        data, question, answers, (embed([question], VECTORS, 2)[0][0], embed(answers, VECTORS, 2)[0])
    )


def column(place: int, question: str, *answers: str) -> Any:
    """Return a feature of some answers, to compare."""
    found = features(ALL, question.split(), [each.split() for each in answers])
    return pytest.approx(found[:, place].tolist(), abs=1e-6)


def test_where_an_answer_first_repeats_a_word_that_is_no_stop_word() -> None:
    answers = "glaciers are ice", "the ice , a glacier", "the who"
    assert column(FIRST, "who formed the glacier ?", *answers) == [0, 4 / 5, 1]


def test_the_logarithm_of_the_length() -> None:
    assert column(LENGTH, "who ?", "he", "he did .") == [0, math.log(3)]


def test_whether_the_year_or_the_number_that_is_asked_for_is_there() -> None:
    answers = "in 1912", "of 1999", "30 of two", "two", "no"
    assert column(NUMBER, "when was 1999 ?", *answers) == [1, 0, 0, 0, 0]
    assert column(NUMBER, "when ?", "2001", "20th", "3000", "19991") == [1, 0, 0, 0]
    assert column(NUMBER, "how many of 30 ?", *answers) == [1, 1, 1, 1, 0]
    assert column(NUMBER, "who ?", *answers) == [0, 0, 0, 0, 0]


def test_how_close_an_answer_comes_to_the_words_of_a_question_by_their_vectors() -> None:
    answers = "ice", "the glacier", "caves", "nothing", "ice cave"
    glacier, cave = math.log(2), math.log(4 / 3)  # idf
    assert column(CLOSENESS, "glacier cave ?", *answers) == [(0.6 + 0.8) / 2, 1 / 2, 0, 0, (0.6 + 1) / 2]
    weighted = [0.6 * glacier + 0.8 * cave, glacier, 0, 0, 0.6 * glacier + cave]
    assert column(WEIGHTED, "glacier cave ?", *answers) == [each / (glacier + cave) for each in weighted]


def test_a_word_may_have_punctuation_in_it() -> None:
    assert overlap.features(PLAIN, ["u.s.", "?"], [["u.s."], ["?"]])[:, 0].tolist() == [1, 0]


def test_a_question_without_words_overlaps_with_nothing() -> None:
    np.testing.assert_array_equal(overlap.features(PLAIN, ["?"], ANSWERS), np.zeros((3, 4)))


@pytest.mark.parametrize("number", [overlap.OVERLAPS, overlap.OF_WORDS, overlap.FEATURES])
def test_what_is_fitted_is_plain_data_and_standardises_the_training_pairs(number: int) -> None:
    pairs = [(QUESTION, ANSWERS), ("when was a cave found ?".split(), ["a cave is a hole in 1999".split(), ["no"]])]
    data, of_pairs = overlap.fit(pairs, number, VECTORS, 2)
    fitted = json.loads(json.dumps(data))
    assert fitted["documents"] == 7
    assert {"cave 4", "glacier 2"} <= set(fitted["document_frequency"].split("\n"))
    assert "hole" not in fitted["document_frequency"], "a stem of one document counts the same as one of none"
    assert ("year_words" in fitted) == (number > overlap.OVERLAPS)
    rows = np.concatenate([features(fitted, *pair) for pair in pairs])
    assert rows.shape == (5, number)
    np.testing.assert_allclose(of_pairs, rows, atol=1e-6)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-6)


def test_a_feature_that_never_varies_in_training_is_not_scaled() -> None:
    fitted, _ = overlap.fit([(QUESTION, [["no"], ["none"]])], overlap.FEATURES, VECTORS, 2)
    assert fitted["scale"] == [1.0] * overlap.FEATURES
    assert np.isfinite(features(fitted, QUESTION, ANSWERS)).all()


def test_what_is_fitted_knows_which_words_ask_for_a_year_and_for_a_number() -> None:
    pairs = [("when was it found ?".split(), ["in 1912".split(), ["no"]]), ("how many ?".split(), [["seven"], ["no"]])]
    fitted, _ = overlap.fit(pairs, overlap.OF_WORDS)
    for question, answers in pairs:
        found, missing = overlap.features(fitted, question, answers)[:, NUMBER]
        assert found > missing


@given(sentences, st.lists(sentences, min_size=1, max_size=4))
def test_an_answer_has_the_same_features_alone_and_among_others(question: list[str], answers: list[list[str]]) -> None:
    together = features(ALL, question, answers)
    alone = [features(ALL, question, [answer])[0] for answer in answers]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    shares = np.delete(together, LENGTH, 1)
    assert ((shares >= 0) & (shares <= 1 + 1e-6)).all()


@pytest.mark.parametrize("module", ["torch", "tqdm", "ir_measures"])
def test_serving_does_not_load_what_only_training_needs(module: str) -> None:
    code = f"import sys; from sm_cnn import overlap; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
