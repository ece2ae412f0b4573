"""MAP and MRR as trec_eval has them, equal scores against us; accuracy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli import CommandError
from toolkit.training.metrics import accuracy, map_mrr

# Distinct scores: a ranking without ties.
questions = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 1), min_size=size, max_size=size).filter(any), st.permutations(range(size))
    )
)


def test_accuracy_is_the_share_of_right_classes() -> None:
    assert accuracy([1, 0, 2, 2], np.array([1, 2, 2, 2])) == 0.75


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
