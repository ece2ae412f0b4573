"""Overlap features of an SM-CNN: how much of a question its answer repeats; the same in training and serving.

Severyn and Moschitti (SIGIR 2015), section 3.3, add four numbers to the network: word overlap and
idf-weighted word overlap, each over all words and without stop words. Here words are compared by their
stems, and each overlap is the share of the question that the answer repeats, not a count. Both raised MAP on the
TrecQA and WikiQA dev sets.

What the features need is plain data in the model file, made by `fit`: `documents`, a count;
`document_frequency`, a text of `stem count` lines of the stems that occur in two documents or more (as one
string it is read 20 times faster than as a pickled dict); `stop_words`, a text; `mean` and `scale`, which
standardise the features as they were on the training pairs.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from snowballstemmer import EnglishStemmer

STOP_WORDS = (
    "a about after again all also am an and any are as at be because been before being both but by can "
    "could did do does doing down each few for from further had has have having he her here hers him "
    "himself his how i if in into is it its itself just me more most my myself no nor not now n't of off "
    "on once only or other our ours out over own same she should so some such than that the their them "
    "then there these they this those through to too under until up very was we were what when where "
    "which while who whom whose why will with would you your 's 're 've 'll 'd 'm"
)

FEATURES = 4

# Characters; English has no longer words, stemming takes time with the square of the length, and stems are cached.
LONGEST = 64

Question = tuple[Sequence[str], Sequence[Sequence[str]]]  # the words of a question and of its answers


def fit(questions: Sequence[Question]) -> dict[str, Any]:
    """Return what `features` needs, from training questions; each question and answer is a document."""
    frequency: Counter[str] = Counter()
    documents = 0
    for question, answers in questions:
        for words in (question, *answers):
            frequency.update(set(_stems(words).values()))
            documents += 1
    often = sorted((stem, count) for stem, count in frequency.items() if count > 1)
    overlap = {
        "documents": documents,
        "document_frequency": "\n".join(f"{stem} {count}" for stem, count in often),
        "stop_words": STOP_WORDS,
        "mean": [0.0] * FEATURES,
        "scale": [1.0] * FEATURES,
    }
    raw = np.concatenate([features(overlap, question, answers) for question, answers in questions])
    scale = np.where(raw.std(0) > 0, raw.std(0), 1.0)
    return {**overlap, "mean": raw.mean(0, np.float64).tolist(), "scale": scale.tolist()}


def features(overlap: Mapping[str, Any], question: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the overlap features of each answer with the question, float32 (answers, 4).

    The columns: share of the question's words that the answer has, the same weighted by idf, and both
    again without stop words; standardised. A stem in n of N training documents has idf ln(N / n), one not
    seen in training counts as seen once.
    """
    frequency, stop_words = _tables(overlap["document_frequency"], overlap["stop_words"])
    stems = _stems(question)
    idf = {word: math.log(overlap["documents"] / frequency.get(stem, 1)) for word, stem in stems.items()}
    total = len(stems), sum(idf.values())
    content = [word for word in stems if word not in stop_words]
    total_content = len(content), sum(idf[word] for word in content)
    rows = np.zeros((len(answers), FEATURES))
    for row, answer in zip(rows, answers, strict=True):
        found = set(_stems(answer).values())
        shared = [word for word, stem in stems.items() if stem in found]
        shared_content = [word for word in shared if word not in stop_words]
        row[:] = (
            _share(len(shared), total[0]),
            _share(sum(idf[word] for word in shared), total[1]),
            _share(len(shared_content), total_content[0]),
            _share(sum(idf[word] for word in shared_content), total_content[1]),
        )
    standardised: np.ndarray = ((rows - overlap["mean"]) / overlap["scale"]).astype(np.float32)
    return standardised


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _stems(words: Iterable[str]) -> dict[str, str]:
    """Return the stem of each distinct word that is one: punctuation is not. What is over LONGEST is its own stem."""
    return {
        word: _stem(word) if len(word) <= LONGEST else word
        for word in words
        if word.isalnum() or any(map(str.isalnum, word))  # the first decides most words, in a fraction of the time
    }


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(EnglishStemmer().stemWord(word))  # a stemmer of its own, as one can't be shared between threads


@lru_cache(maxsize=2)
def _tables(document_frequency: str, stop_words: str) -> tuple[dict[str, int], frozenset[str]]:
    lines = (line.split(" ") for line in document_frequency.split("\n") if line)
    return {stem: int(count) for stem, count in lines}, frozenset(stop_words.split())
