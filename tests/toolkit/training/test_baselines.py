"""Baselines: what they answer on texts that leave no doubt, and on those that others stumble over."""

import numpy as np
import pytest

from toolkit.training.baselines import logistic_regression, majority, tfidf_cosine


def test_the_majority_class_is_that_of_the_training_rows() -> None:
    assert majority([2, 0, 2, 1], 3).tolist() == [2, 2, 2]


def test_logistic_regression_learns_words_and_word_pairs() -> None:
    texts = ["Good film", "a good one", "not good at all", "it is not good", "good", "was not good"]
    found = logistic_regression(texts, [1, 1, 0, 0, 1, 0], ["GOOD!", "that's not good"])
    assert found.tolist() == [1, 0]


@pytest.mark.parametrize("texts", [["!!!", "???"], ["a", "b"], ["好", "坏"], ["👍", "👎"]])
def test_texts_without_words_of_two_letters_are_learnt_all_the_same(texts: list[str]) -> None:
    assert logistic_regression(texts * 2, [0, 1] * 2, texts).tolist() == [0, 1]


def test_of_one_class_there_is_nothing_to_learn() -> None:
    assert logistic_regression(["a", "b"], [1, 1], ["c"]).tolist() == [1]


def test_tfidf_cosine_prefers_the_rare_words_of_the_question() -> None:
    asked = ["what is the glacier", "what is the river"]
    answers = [["what is wrong", "the glacier", "none"], ["the river"]]
    first, second = tfidf_cosine(asked, answers)
    assert np.argsort(-first).tolist() == [1, 0, 2]
    assert first[2] == 0
    assert (len(second), second[0] > 0) == (1, True)
    assert tfidf_cosine(["same words"], [["words same"]])[0] == pytest.approx(1)
