"""What an evaluation found: figures, baselines and the worst rows, as text and as JSON; page.py shows them in HTML."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.training.labelled import Row
from toolkit.training.metrics import (
    DECIMALS,
    Calibration,
    ClassFigures,
    Difference,
    RankingFigures,
    accuracy,
    calibration,
    class_figures,
    confusion,
    difference,
    macro_f1,
    ranking_figures,
)

WORST = 20  # rows that a report shows
LONGEST_TEXT, LONGEST_LABEL = 300, 24  # characters
MOST_COLUMNS = 12  # of a confusion matrix as text
CONFUSED = 10  # pairs of classes that are named instead


@dataclass(frozen=True)
class Baseline:
    """A simpler system on the same rows, and how much more the model scores: accuracy, or average precision."""

    name: str
    scores: dict[str, float]
    difference: Difference


@dataclass(frozen=True)
class Mistake:
    """A row in the wrong class, with the model's probability of that class."""

    text: str
    place: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class Candidate:
    """An answer where the model ranked it, with its probability of being relevant."""

    text: str
    place: str
    rank: int
    probability: float


@dataclass(frozen=True)
class MisrankedQuestion:
    """A question whose first answer is not relevant, and the best of its answers that are."""

    text: str
    average_precision: float
    answers: int
    first: Candidate
    relevant: Candidate


@dataclass(frozen=True)
class ClassReport:
    """How well a model classifies. Texts are cut; `tokens_without_vector` is a share, None where it is not known."""

    rows: int
    scores: dict[str, float]
    classes: list[ClassFigures]
    confusion: list[list[int]]  # row: class; column: predicted
    calibration: Calibration
    tokens_without_vector: float | None
    baselines: list[Baseline]
    worst: list[Mistake]

    def as_text(self) -> str:
        """Return the report in short, for a terminal."""
        head = ("class", "rows", "precision", "recall", "F1")
        table = [
            (_label(each.label), str(each.rows), *map(_share, (each.precision, each.recall, each.f1)))
            for each in self.classes
        ]
        return "\n\n".join(
            [
                columns([head, *table]),
                self.confusion_as_text(),
                columns(_system_rows(self)),
                "\n".join(_remarks(self)),
            ]
        )

    def confusion_as_text(self) -> str:
        """Return the confusion matrix, a row a class; of many classes the pairs that are most often confused."""
        names = [_label(each.label) for each in self.classes]
        if len(names) <= MOST_COLUMNS:
            head = ("class \\ predicted", *(str(number) for number in range(1, len(names) + 1)))
            numbered = [f"{number} {name}" for number, name in enumerate(names, 1)]
            rows = [(name, *map(str, row)) for name, row in zip(numbered, self.confusion, strict=True)]
            return columns([head, *rows])
        pairs = [
            (count, names[label], names[predicted])
            for label, row in enumerate(self.confusion)
            for predicted, count in enumerate(row)
            if count and label != predicted
        ]
        most = sorted(pairs, key=lambda pair: -pair[0])[:CONFUSED]
        return columns([("class", "predicted", "rows"), *((label, name, str(count)) for count, label, name in most)])


@dataclass(frozen=True)
class RankingReport:
    """How well a model ranks answers. Texts are cut."""

    rows: int  # questions
    pairs: int
    unanswered: int  # questions without a relevant answer, which don't count
    scores: dict[str, float]
    calibration: Calibration  # of the probability of relevant
    tokens_without_vector: float | None
    baselines: list[Baseline]
    worst: list[MisrankedQuestion]

    def as_text(self) -> str:
        """Return the report in short, for a terminal."""
        counts = f"{self.rows:,} questions, {self.pairs:,} answers"
        if self.unanswered:
            counts += f"; {self.unanswered:,} questions have no relevant answer and don't count"
        return "\n\n".join([counts, columns(_system_rows(self)), "\n".join(_remarks(self))])


def class_report(
    names: Sequence[str],
    rows: Sequence[Row],
    probabilities: np.ndarray,
    tokens_without_vector: float | None,
    baselines: Mapping[str, np.ndarray],
) -> ClassReport:
    """Make the report of a classification.

    `names` are those of the classes, in the order of `probabilities` (rows, classes); `baselines` has the classes
    (rows,) that simpler systems give, by their names.
    """
    labels = [names.index(row.label) for row in rows]
    classes = probabilities.argmax(1)
    confidence = probabilities.max(1)
    right = classes == np.asarray(labels)
    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]
    return ClassReport(
        rows=len(labels),
        scores=_class_scores(labels, classes),
        classes=class_figures(names, labels, classes),
        confusion=confusion(len(names), labels, classes),
        calibration=calibration(confidence, right),
        tokens_without_vector=tokens_without_vector,
        baselines=[
            Baseline(name, _class_scores(labels, theirs), difference(right, theirs == np.asarray(labels)))
            for name, theirs in baselines.items()
        ],
        worst=[
            Mistake(
                cut(rows[row].text),
                rows[row].place,
                rows[row].label,
                names[classes[row]],
                float(confidence[row]),
            )
            for row in worst.tolist()
        ],
    )


def ranking_report(
    questions: Sequence[str],
    answers: Sequence[Sequence[Row]],
    scores: Sequence[np.ndarray],
    tokens_without_vector: float | None,
    baselines: Mapping[str, Sequence[np.ndarray]],
) -> RankingReport:
    """Make the report of a ranking.

    Each question has a row of `answers`, with label "1" for a relevant one, and of `scores`: the logit of relevant less
    that of not relevant. `baselines` has the scores that simpler systems give, by their names. Raises CommandError when
    no question has a relevant answer.
    """
    labels = [[int(answer.label) for answer in row] for row in answers]
    figures = ranking_figures(labels, scores)
    precisions = _counted(figures)
    found = []
    for name, theirs in baselines.items():
        their_figures = ranking_figures(labels, theirs)
        found.append(Baseline(name, _ranking_scores(their_figures), difference(precisions, _counted(their_figures))))
    asked = [(precision, number) for number, precision in enumerate(figures.average_precision) if precision is not None]
    worst = [
        question
        for precision, number in sorted(asked)
        if (question := _misranked(questions[number], answers[number], scores[number], precision))
    ]
    return RankingReport(
        rows=len(questions),
        pairs=sum(map(len, answers)),
        unanswered=len(questions) - len(asked),
        scores=_ranking_scores(figures),
        calibration=calibration(_probability(np.concatenate(scores)), np.concatenate(labels) == 1),
        tokens_without_vector=tokens_without_vector,
        baselines=found,
        worst=worst[:WORST],
    )


def as_json(report: ClassReport | RankingReport) -> str:
    """Return all figures and rows of a report, as an indented JSON object."""
    return json.dumps(dataclasses.asdict(report), indent=1, ensure_ascii=False) + "\n"


def verdict(report: ClassReport | RankingReport) -> str:
    """Return a sentence on whether the model beats the best of its baselines; empty when it has none."""
    if not report.baselines:
        return ""
    score = next(iter(report.scores))
    best = max(report.baselines, key=lambda baseline: baseline.scores[score])
    gain = best.difference
    relation = (
        f"The model beats {best.name}"
        if gain.low > 0
        else f"{best.name} beats the model"
        if gain.high < 0
        else f"The model is not clearly better or worse than {best.name}"
    )
    differences = f"{gain.mean:+.3f} (95% confidence interval {gain.low:+.3f} to {gain.high:+.3f})".replace("-", "−")
    return f"{relation}: {score} {differences}."


def trust(report: ClassReport | RankingReport) -> str:
    """Return a sentence on how far probabilities can be taken at their word."""
    means = f"{report.calibration.probability:.1%}", f"{report.calibration.share:.1%}"
    said = (
        f"The model gives its classes a probability of {means[0]} on average, and {means[1]} of them are right"
        if isinstance(report, ClassReport)
        else f"The model gives answers a probability of {means[0]} on average, and {means[1]} of them are relevant"
    )
    return f"{said}; expected calibration error {report.calibration.expected_error:.3f}."


def cut(text: str) -> str:
    """Return `text` on one line, cut to LONGEST_TEXT characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _label(name: str) -> str:
    """Return the name of a class for a terminal: one line, nothing that a terminal would obey, not too long."""
    line = "".join(character for character in " ".join(name.split()) if character.isprintable())
    return line if len(line) <= LONGEST_LABEL else f"{line[: LONGEST_LABEL - 1]}…"


def _share(value: float) -> str:
    return f"{value:.3f}"


def _system_rows(report: ClassReport | RankingReport) -> list[tuple[str, ...]]:
    """Return the table of the model and its baselines."""
    systems: list[tuple[str, Mapping[str, Any]]] = [("this model", report.scores)]
    systems += [(baseline.name, baseline.scores) for baseline in report.baselines]
    return [("system", *report.scores), *((name, *map(_share, scores.values())) for name, scores in systems)]


def _remarks(report: ClassReport | RankingReport) -> list[str]:
    """Return what is to say below the tables."""
    remarks = [verdict(report), trust(report)]
    if report.tokens_without_vector is not None:
        remarks.append(f"{report.tokens_without_vector:.1%} of the tokens have no vector.")
    return [remark for remark in remarks if remark]


def _class_scores(labels: Sequence[int], classes: np.ndarray) -> dict[str, float]:
    return {"accuracy": accuracy(labels, classes), "macro-F1": macro_f1(labels, classes)}


def _ranking_scores(figures: RankingFigures) -> dict[str, float]:
    return {
        "mean average precision": figures.mean_average_precision,
        "mean reciprocal rank": figures.mean_reciprocal_rank,
        "precision at 1": figures.precision_at_1,
    }


def _counted(figures: RankingFigures) -> np.ndarray:
    """Return the average precision of each question that counts, (questions,)."""
    return np.array([precision for precision in figures.average_precision if precision is not None])


def _probability(scores: np.ndarray) -> np.ndarray:
    """Return the probability of relevant: the softmax of two logits, of which `scores` are the differences."""
    probabilities: np.ndarray = 1 / (1 + np.exp(-scores.astype(float)))
    return probabilities


def _misranked(question: str, answers: Sequence[Row], scores: np.ndarray, precision: float) -> MisrankedQuestion | None:
    """Return a question whose first answer is not relevant, None if it is; equal scores rank as in the figures."""
    counted = np.round(scores.astype(float), DECIMALS)
    order = sorted(range(len(answers)), key=lambda place: (-counted[place], answers[place].label))
    best = next(rank for rank, place in enumerate(order) if answers[place].label == "1")
    first, relevant = (
        Candidate(cut(answers[place].text), answers[place].place, rank + 1, float(_probability(scores[place])))
        for rank, place in ((0, order[0]), (best, order[best]))
    )
    return MisrankedQuestion(cut(question), precision, len(answers), first, relevant) if best else None
