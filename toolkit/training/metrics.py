"""Metrics of an evaluation: of classes, of rankings, and how far their probabilities can be trusted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import AP, RR, P
from sklearn import metrics

from toolkit.cli import CommandError

DECIMALS = 5  # of scores that count: a text scores the same to about 6 in every batch
BINS = 10  # of a reliability plot, as in Figure 1 of Guo et al. (2017)
NORMAL_95 = 1.96  # standard errors to either side that hold 95 % of a normal distribution


def accuracy(labels: Sequence[int], classes: np.ndarray) -> float:
    """Return the share of `classes` that are right."""
    return float(np.mean(classes == np.asarray(labels)))


def macro_f1(labels: Sequence[int], classes: np.ndarray) -> float:
    """Return the mean F1 of the classes that occur in `labels` or `classes`, each counted alike."""
    return float(metrics.f1_score(labels, classes, average="macro", zero_division=0.0))


@dataclass(frozen=True)
class ClassFigures:
    """How one class fares; precision is 0 where it is never predicted, recall where it has no rows."""

    label: str
    rows: int
    precision: float
    recall: float
    f1: float


def class_figures(names: Sequence[str], labels: Sequence[int], classes: np.ndarray) -> list[ClassFigures]:
    """Return the figures of each class, in the order of their `names`."""
    columns = metrics.precision_recall_fscore_support(labels, classes, labels=range(len(names)), zero_division=0.0)
    precision, recall, f1, rows = (column.tolist() for column in columns)
    return [ClassFigures(*row) for row in zip(names, rows, precision, recall, f1, strict=True)]


def confusion(count: int, labels: Sequence[int], classes: np.ndarray) -> list[list[int]]:
    """Return how many rows of each of `count` classes (first index) were put in each (second index)."""
    matrix: list[list[int]] = metrics.confusion_matrix(labels, classes, labels=range(count)).tolist()
    return matrix


def without_vector(sentences: Iterable[Sequence[str]], vectors: Mapping[str, np.ndarray | None]) -> float:
    """Return the share of the words of `sentences`, each counted as often as it occurs, that have no vector."""
    words = [word for sentence in sentences for word in sentence]
    return sum(vectors.get(word) is None for word in words) / len(words)


@dataclass(frozen=True)
class Bin:
    """The answers whose probability lies above `low`, up to `high`."""

    low: float
    high: float
    rows: int
    probability: float  # the mean
    share: float  # of answers that were right


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be taken at their word."""

    expected_error: float
    bins: list[Bin]  # without the empty ones

    @property
    def probability(self) -> float:
        """Return the mean probability."""
        return sum(each.rows * each.probability for each in self.bins) / sum(each.rows for each in self.bins)

    @property
    def share(self) -> float:
        """Return the share of answers that were right."""
        return sum(each.rows * each.share for each in self.bins) / sum(each.rows for each in self.bins)


def calibration(probabilities: np.ndarray, right: np.ndarray) -> Calibration:
    """Return the calibration of answers with these `probabilities` (answers,), of which some were `right` (answers,).

    The expected calibration error is that of Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural
    Networks" (ICML 2017), equation 3: how far the share of right answers is from the mean probability in each bin of
    equal width, weighted by the answers in it.
    """
    places = np.clip(np.ceil(probabilities * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for place in np.unique(places).tolist():
        inside = places == place
        share = float(right[inside].mean())
        probability = float(probabilities[inside].mean(dtype=np.float64))
        bins.append(Bin(place / BINS, (place + 1) / BINS, int(inside.sum()), probability, share))
    error = sum(each.rows * abs(each.share - each.probability) for each in bins) / len(probabilities)
    return Calibration(error, bins)


@dataclass(frozen=True)
class Difference:
    """How much more one system scores than another on the same rows, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def difference(ours: np.ndarray, theirs: np.ndarray) -> Difference:
    """Compare two systems by their scores of the same rows, each 0 to 1: 1 and 0 for right and wrong.

    The interval is "Wald+2" of Agresti and Min, "Simple improved confidence intervals for comparing matched
    proportions" (Statistics in Medicine 2005): that of two more rows, which disagree by half a row in each direction.
    """
    row_differences = ours.astype(float) - theirs.astype(float)
    rows = len(row_differences) + 2
    middle = row_differences.sum() / rows
    error = np.sqrt(((row_differences**2).sum() + 1) / rows - middle**2) / np.sqrt(rows)
    low, high = np.clip([middle - NORMAL_95 * error, middle + NORMAL_95 * error], -1, 1).tolist()
    return Difference(float(row_differences.mean()), low, high)


@dataclass(frozen=True)
class RankingFigures:
    """How well answers are ranked, by the questions that have a relevant one."""

    mean_average_precision: float
    mean_reciprocal_rank: float
    precision_at_1: float
    average_precision: list[float | None]  # of each question; None of one without a relevant answer


def ranking_figures(labels: Sequence[Sequence[int]], scores: Sequence[np.ndarray]) -> RankingFigures:
    """Return the figures of rankings by `scores`, as trec_eval defines them.

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
    measures = [AP, RR, P @ 1]
    measured: dict[object, dict[int, float]] = {measure: {} for measure in measures}
    for each in ir_measures.iter_calc(measures, relevant, rankings):
        measured[each.measure][int(each.query_id)] = each.value
    precision, reciprocal, first = (float(np.mean(list(measured[measure].values()))) for measure in measures)
    return RankingFigures(precision, reciprocal, first, [measured[AP].get(number) for number in range(len(labels))])


def map_mrr(labels: Sequence[Sequence[int]], scores: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return mean average precision and mean reciprocal rank, as `ranking_figures` measures them."""
    figures = ranking_figures(labels, scores)
    return figures.mean_average_precision, figures.mean_reciprocal_rank
