"""Baselines: what a user would have without this project, or without training at all."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

# Words, and runs of marks such as "!!": no text is without either.
TOKENS = r"\w+|[^\w\s]+"


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
