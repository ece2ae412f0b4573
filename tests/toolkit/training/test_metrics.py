"""Figures of classes, rankings and probabilities, by hand and by what must hold of them; equal scores against us."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli import CommandError
from toolkit.training.metrics import (
    accuracy,
    calibration,
    class_figures,
    confusion,
    difference,
    macro_f1,
    map_mrr,
    ranking_figures,
    without_vector,
)

# Distinct scores: a ranking without ties.
questions = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 1), min_size=size, max_size=size).filter(any), st.permutations(range(size))
    )
)


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert accuracy([1, 0, 2, 2], np.array([1, 2, 2, 2])) == 0.75


def test_class_figures_by_hand() -> None:
    labels, classes = [0, 0, 0, 1, 1, 2], np.array([0, 0, 1, 1, 0, 1])
    first, second, third, fourth = class_figures(["a", "b", "c", "never seen"], labels, classes)
    assert (first.label, first.rows, first.precision, first.recall) == (
        "a",
        3,
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
    )
    assert (second.rows, second.precision, second.recall, second.f1) == (
        2,
        pytest.approx(1 / 3),
        0.5,
        pytest.approx(0.4),
    )
    assert (third.rows, third.precision, third.recall, third.f1) == (1, 0.0, 0.0, 0.0)
    assert (fourth.rows, fourth.f1) == (0, 0.0)
    assert macro_f1(labels, classes) == pytest.approx((2 / 3 + 0.4 + 0) / 3)  # without the class that never occurs
    assert confusion(4, labels, classes) == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_class_figures_agree_with_the_confusion_matrix(pairs: list[tuple[int, int]]) -> None:
    labels, classes = [label for label, _ in pairs], np.array([given for _, given in pairs])
    matrix = np.array(confusion(4, labels, classes))
    assert matrix.sum() == len(pairs)
    assert accuracy(labels, classes) == pytest.approx(np.trace(matrix) / len(pairs))
    for number, figures in enumerate(class_figures(["a", "b", "c", "d"], labels, classes)):
        right, given, rows = matrix[number, number], matrix[:, number].sum(), matrix[number].sum()
        assert figures.rows == rows
        assert figures.precision == pytest.approx(right / given if given else 0)
        assert figures.recall == pytest.approx(right / rows if rows else 0)
        assert figures.f1 == pytest.approx(2 * right / (given + rows) if right else 0)


def test_words_without_a_vector_count_as_often_as_they_occur() -> None:
    assert without_vector([["the", "glacier"], ["the"]], {"the": None, "glacier": np.ones(2)}) == pytest.approx(2 / 3)
    assert without_vector([["the", "glacier"]], {"glacier": np.ones(2)}) == 0.5


def test_calibration_by_hand() -> None:
    found = calibration(np.array([0.95, 0.95, 0.91, 0.3]), np.array([True, True, False, False]))
    low, high = found.bins
    assert (low.low, low.high, low.rows, low.probability, low.share) == (0.2, 0.3, 1, 0.3, 0.0)
    assert (high.rows, high.probability, high.share) == (3, pytest.approx(2.81 / 3), pytest.approx(2 / 3))
    assert found.expected_error == pytest.approx((0.3 + 2.81 - 2) / 4)
    assert (found.probability, found.share) == (pytest.approx(3.11 / 4), 0.5)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_calibration_counts_each_answer_once_in_the_bin_of_its_probability(answers: list[tuple[float, bool]]) -> None:
    probabilities, right = (np.array(column) for column in zip(*answers, strict=True))
    found = calibration(probabilities, right)
    assert sum(each.rows for each in found.bins) == len(answers)
    assert all(each.low - 1e-9 <= each.probability <= each.high + 1e-9 for each in found.bins)
    assert abs(found.probability - found.share) - 1e-9 <= found.expected_error <= 1
    assert found.share == pytest.approx(right.mean())


def test_the_difference_of_two_systems_has_the_published_interval() -> None:
    """Agresti and Min's Wald+2 of a table with 10 and 3 rows on which the systems disagree, of 50."""
    ours = np.array([1] * 40 + [0] * 10, bool)
    theirs = np.array([1] * 30 + [0] * 10 + [1] * 3 + [0] * 7, bool)
    found = difference(ours, theirs)
    middle, error = 7 / 52, np.sqrt(14 - 7**2 / 52) / 52
    assert found.mean == pytest.approx(7 / 50)
    assert (found.low, found.high) == (pytest.approx(middle - 1.96 * error), pytest.approx(middle + 1.96 * error))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_difference_is_the_opposite_the_other_way_round(rows: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(column) for column in zip(*rows, strict=True))
    found, opposite = difference(ours, theirs), difference(theirs, ours)
    assert (found.mean, found.low) == (pytest.approx(-opposite.mean), pytest.approx(-opposite.high))
    assert -1 <= found.low < found.high <= 1


def test_average_precision_and_reciprocal_rank_by_hand() -> None:
    labels = [0, 1, 1, 0]
    scores = np.array([0.1, 0.9, 0.3, 0.5], np.float32)  # relevant at ranks 1 and 3
    assert map_mrr([labels], [scores]) == (pytest.approx((1 + 2 / 3) / 2), 1.0)
    scores = np.array([0.9, 0.1, 0.3, 0.5], np.float32)  # at 3 and 4
    assert map_mrr([labels], [scores]) == (pytest.approx((1 / 3 + 2 / 4) / 2), pytest.approx(1 / 3))


@given(st.lists(questions, min_size=1, max_size=5))
def test_map_and_mrr_are_means_over_the_questions(asked: list[tuple[list[int], list[int]]]) -> None:
    precisions, reciprocals = [], []
    for labels, scores in asked:
        ranking = [label for _, label in sorted(zip(scores, labels, strict=True), reverse=True)]
        ranks = [rank for rank, label in enumerate(ranking, 1) if label]
        precisions.append(np.mean([found / rank for found, rank in enumerate(ranks, 1)]))
        reciprocals.append(1 / ranks[0])
    measured = map_mrr([labels for labels, _ in asked], [np.array(scores) for _, scores in asked])
    assert measured == pytest.approx((np.mean(precisions), np.mean(reciprocals)))


def test_ranking_figures_have_the_precision_at_1_and_the_average_precision_of_each_question() -> None:
    found = ranking_figures([[0, 1], [0, 0], [1, 0]], [np.array([0.9, 0.1])] * 3)
    assert found.precision_at_1 == 0.5
    assert found.average_precision == [0.5, None, 1.0]


def test_questions_without_a_relevant_answer_do_not_count() -> None:
    scores = np.array([0.9, 0.1])
    assert map_mrr([[1, 0], [0, 0]], [scores, scores]) == (1.0, 1.0)
    with pytest.raises(CommandError, match="no question has a relevant answer"):
        map_mrr([[0, 0]], [scores])


@pytest.mark.parametrize("labels", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_equal_scores_rank_the_relevant_answer_last_wherever_it_stands(labels: list[int], noise: float) -> None:
    scores = np.full(4, 0.5) + noise * np.array(labels)
    assert map_mrr([labels], [scores]) == (0.25, 0.25)
