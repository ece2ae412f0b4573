"""Metrics of an evaluation: accuracy of classes, MAP and MRR of rankings."""

from collections.abc import Sequence

import ir_measures
import numpy as np
from ir_measures import AP, RR
from sklearn import metrics

from toolkit.cli import CommandError

DECIMALS = 5  # of scores that count: a text scores the same to about 6 in every batch


def accuracy(labels: Sequence[int], classes: np.ndarray) -> float:
    """Return the share of `classes` that are right."""
    return float(np.mean(classes == np.asarray(labels)))


def macro_f1(labels: Sequence[int], classes: np.ndarray) -> float:
    """Return the mean F1 of the classes that occur in `labels` or `classes`, each counted alike."""
    return float(metrics.f1_score(labels, classes, average="macro", zero_division=0.0))


def map_mrr(labels: Sequence[Sequence[int]], scores: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return mean average precision and mean reciprocal rank, as trec_eval defines them.

    `labels` has a row of 1 (relevant) and 0 for each question, `scores` one of the same length, higher for more
    relevant. Questions without a relevant answer do not count; CommandError when that is all of them. trec_eval ranks
    equal scores by document id, highest first: the ids here put the relevant answers last.
    """
    relevant, rankings = {}, {}
    for number, (row, row_scores) in enumerate(zip(labels, scores, strict=True)):
        if any(row):
            ids = [f"{1 - label}-{place}" for place, label in enumerate(row)]
            relevant[str(number)] = dict(zip(ids, row, strict=True))
            rankings[str(number)] = dict(zip(ids, np.round(row_scores.astype(float), DECIMALS).tolist(), strict=True))
    if not relevant:
        raise CommandError("no question has a relevant answer: there is nothing to measure")
    measured = ir_measures.calc_aggregate([AP, RR], relevant, rankings)
    return float(measured[AP]), float(measured[RR])
