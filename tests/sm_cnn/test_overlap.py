"""Overlap features: the shares they are said to be, the same for an answer alone and in a list, without torch."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
sentences = st.lists(st.sampled_from([*QUESTION, *ANSWERS[0], "unseen", "'s", "--"]), min_size=1, max_size=8)


def test_shares_of_the_question_by_stems_with_and_without_idf_and_stop_words() -> None:
    idf = {"who": math.log(4), "form": math.log(4), "the": math.log(4), "glacier": math.log(2), "cave": math.log(4 / 3)}
    shared = idf["the"] + idf["glacier"] + idf["form"] + idf["cave"]
    expected: list[list[float]] = [
        [4 / 5, shared / sum(idf.values()), 3 / 3, 1.0],
        [1 / 5, idf["who"] / sum(idf.values()), 0, 0],
        [0, 0, 0, 0],
    ]
    features = overlap.features(PLAIN, QUESTION, ANSWERS)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_a_question_without_words_overlaps_with_nothing() -> None:
    np.testing.assert_array_equal(overlap.features(PLAIN, ["?"], ANSWERS), np.zeros((3, 4)))


def test_what_is_fitted_is_plain_data_and_standardises_the_training_pairs() -> None:
    fitted = overlap.fit([(QUESTION, ANSWERS), ("what is a cave ?".split(), ["a cave is a hole".split(), ["no"]])])
    fitted = json.loads(json.dumps(fitted))
    assert fitted["documents"] == 7
    assert "cave 4" in fitted["document_frequency"].split("\n")
    rows = np.concatenate(
        [
            overlap.features(fitted, QUESTION, ANSWERS),
            overlap.features(fitted, "what is a cave ?".split(), ["a cave is a hole".split(), ["no"]]),
        ]
    )
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-6)


def test_a_feature_that_never_varies_in_training_stays_finite() -> None:
    fitted = overlap.fit([(QUESTION, [["no"], ["none"]])])
    assert np.isfinite(overlap.features(fitted, QUESTION, ANSWERS)).all()


@given(sentences, st.lists(sentences, min_size=1, max_size=4))
def test_an_answer_has_the_same_features_alone_and_among_others(question: list[str], answers: list[list[str]]) -> None:
    together = overlap.features(PLAIN, question, answers)
    alone = [overlap.features(PLAIN, question, [answer])[0] for answer in answers]
    np.testing.assert_array_equal(together, alone)
    assert ((together >= 0) & (together <= 1 + 1e-6)).all()


@pytest.mark.parametrize("module", ["torch", "tqdm", "ir_measures"])
def test_serving_does_not_load_what_only_training_needs(module: str) -> None:
    code = f"import sys; from sm_cnn import overlap; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
