"""Baselines: what a user would have without this project, or without training at all."""

from collections.abc import Collection, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from toolkit.cli import log
from toolkit.training.labelled import Row, check_labels, unseen

# Words, and runs of marks such as "!!": no text is without either.
TOKENS = r"\w+|[^\w\s]+"


def class_baselines(names: Sequence[str], trained_on: Sequence[Row], rows: Collection[Row]) -> dict[str, np.ndarray]:
    """Return the classes, as indices in `names`, that baselines give `rows`, by the names of the baselines.

    They learn from the rows of `trained_on` whose text is not among `rows`; none when there is none.
    """
    check_labels(trained_on, names)
    learnt = unseen(trained_on, rows)
    if not learnt:
        log("note: no baselines, as every text that was trained on is measured as well")
        return {}
    if len(learnt) < len(trained_on):
        log(f"note: baselines don't learn from {len(trained_on) - len(learnt)} rows, whose texts are measured")
    labels = [names.index(row.label) for row in learnt]
    texts, measured = [row.text for row in learnt], [row.text for row in rows]
    return {
        "majority class": majority(labels, len(measured)),
        "TF-IDF + logistic regression": logistic_regression(texts, labels, measured),
    }


def majority(labels: Sequence[int], rows: int) -> np.ndarray:
    """Return the most frequent of the training `labels` for each of `rows` rows, int64 (rows,)."""
    return np.full(rows, np.bincount(labels).argmax())


def logistic_regression(texts: Sequence[str], labels: Sequence[int], unseen: Sequence[str]) -> np.ndarray:
    """Train TF-IDF of words and word pairs + logistic regression; return the classes of `unseen` texts, int64."""
    if len(set(labels)) == 1:
        return majority(labels, len(unseen))
    vectorizer = TfidfVectorizer(token_pattern=TOKENS, ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, solver="newton-cg", tol=1e-3)  # a tenth of the time that lbfgs took, as accurate
    classes: np.ndarray = model.fit(vectorizer.fit_transform(texts), labels).predict(vectorizer.transform(unseen))
    return classes


def tfidf_cosine(questions: Sequence[str], answers: Sequence[Sequence[str]]) -> list[np.ndarray]:
    """Return the cosine of each question's TF-IDF vector with those of its `answers`: an array (answers,) a question.

    The document frequencies are those of these texts.
    """
    vectorizer = TfidfVectorizer(token_pattern=TOKENS, sublinear_tf=True)
    vectorizer.fit(dict.fromkeys([*questions, *(answer for row in answers for answer in row)]))
    return [
        (vectorizer.transform(row) @ vectorizer.transform([question]).T).toarray()[:, 0]
        for question, row in zip(questions, answers, strict=True)
    ]
