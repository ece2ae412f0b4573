"""Features of an SM-CNN: how much of a question its answer repeats, and how; the same in training and serving.

Severyn and Moschitti (SIGIR 2015), section 3.3, add four numbers to the network: word overlap and
idf-weighted word overlap, each over all words and without stop words. Here words are compared by their
stems, and each overlap is the share of the question that the answer repeats, not a count. Both raised MAP on the
TrecQA and WikiQA dev sets.

Three more describe the answer: where it first repeats the question, how long it is, and whether it has the year or the
number that is asked for. The last two are overlaps of meaning: how close the answer comes to each word of the question,
by the cosine of their vectors. A model has the first four, the first seven or all nine, as many as its `mean` has
numbers.

What the features need is plain data in the model file, made by `fit`: `documents`, a count;
`document_frequency`, a text of `stem count` lines of the stems that occur in two documents or more (as one
string it is read 20 times faster than as a pickled dict); `stop_words`, a text; `mean` and `scale`, which
standardise the features as they were on the training pairs; with more than four features `year_words`, `amount_words`
and `numerals`, texts.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain
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

# What asks for a year, what asks for another number, and what is a number without a digit.
YEAR_WORDS = "when year date day"
AMOUNT_WORDS = (
    "many much old far long tall fast often big large high hot cold population percentage percent number age rate "
    "limit cost value price"
)
NUMERALS = (
    "one two three four five six seven eight nine ten eleven twelve dozen twenty thirty forty fifty half hundred "
    "thousand million billion"
)

OVERLAPS = 4  # the features of the paper
OF_WORDS = 7  # those that need no vectors
FEATURES = 9  # all

# Characters; English has no longer words, stemming takes time with the square of the length, and stems are cached.
LONGEST = 64

Question = tuple[Sequence[str], Sequence[Sequence[str]]]  # the words of a question and of its answers


Vectors = Mapping[str, np.ndarray | None]


def count(features: bool | int) -> int:
    """Return how many features a config's `features` means: true is the four of the paper, false none."""
    return OVERLAPS if features is True else int(features)


def fit(questions: Sequence[Question], number: int, vectors: Vectors) -> tuple[dict[str, Any], np.ndarray]:
    """Return what that `number` of features needs, from training questions, and the features of all their pairs.

    Each question and answer is a document. The features are standardised, float32 (pairs, number).
    """
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
        "mean": [0.0] * number,
        "scale": [1.0] * number,
    }
    if number > OVERLAPS:
        overlap |= {"year_words": YEAR_WORDS, "amount_words": AMOUNT_WORDS, "numerals": NUMERALS}
    raw = np.concatenate([features(overlap, question, answers, vectors) for question, answers in questions])
    mean, scale = raw.mean(0, np.float64), np.where(raw.std(0) > 0, raw.std(0), 1.0)
    standardised: np.ndarray = ((raw - mean) / scale).astype(np.float32)
    return {**overlap, "mean": mean.tolist(), "scale": scale.tolist()}, standardised


def features(
    overlap: Mapping[str, Any], question: Sequence[str], answers: Sequence[Sequence[str]], vectors: Vectors
) -> np.ndarray:
    """Return the features of each answer to the question, standardised, float32 (answers, features)."""
    stems, answer_stems = _stems(question), [_stems(answer) for answer in answers]
    frequency, stop_words = _frequency(overlap["document_frequency"]), _words(overlap["stop_words"])
    # A stem in n of N training documents has idf ln(N / n), one not seen in training counts as seen once.
    idf = {word: math.log(overlap["documents"] / frequency.get(stem, 1)) for word, stem in stems.items()}
    columns = [_overlaps(stems, answer_stems, idf, stop_words)]
    if len(overlap["mean"]) > OVERLAPS:
        columns.append(_of_words(overlap, question, stems, answers, answer_stems, stop_words))
    if len(overlap["mean"]) > OF_WORDS:
        columns.append(_closeness(answer_stems, idf, vectors))
    standardised: np.ndarray = ((np.concatenate(columns, 1) - overlap["mean"]) / overlap["scale"]).astype(np.float32)
    return standardised


def _overlaps(
    stems: Mapping[str, str], answers: Sequence[Mapping[str, str]], idf: Mapping[str, float], stop_words: frozenset[str]
) -> np.ndarray:
    """Return four features of each answer: the share of the question's words that it has, the same weighted by idf,
    and both again without stop words.
    """
    total = len(stems), sum(idf.values())
    content = [word for word in stems if word not in stop_words]
    total_content = len(content), sum(idf[word] for word in content)
    rows = np.zeros((len(answers), OVERLAPS))
    for row, answer in zip(rows, answers, strict=True):
        found = set(answer.values())
        shared = [word for word, stem in stems.items() if stem in found]
        shared_content = [word for word in shared if word not in stop_words]
        row[:] = (
            _share(len(shared), total[0]),
            _share(sum(idf[word] for word in shared), total[1]),
            _share(len(shared_content), total_content[0]),
            _share(sum(idf[word] for word in shared_content), total_content[1]),
        )
    return rows


def _of_words(
    overlap: Mapping[str, Any],
    question: Sequence[str],
    stems: Mapping[str, str],
    answers: Sequence[Sequence[str]],
    answer_stems: Sequence[Mapping[str, str]],
    stop_words: frozenset[str],
) -> np.ndarray:
    """Return three features of each answer: where its first word of the question stands that is no stop word, as a
    share of its length, 1 for none; the logarithm of its length; 1 if it has what may be the number asked for, or 0.
    """
    asked = _number_asked(overlap, set(question))
    question_stems = set(stems.values())
    rows = np.zeros((len(answers), OF_WORDS - OVERLAPS))
    for row, answer, of_answer in zip(rows, answers, answer_stems, strict=True):
        repeated = {word for word, stem in of_answer.items() if stem in question_stems and word not in stop_words}
        first = next((place for place, word in enumerate(answer) if word in repeated), len(answer))
        row[:] = first / len(answer), math.log(len(answer)), any(map(asked, answer))
    return rows


def _number_asked(overlap: Mapping[str, Any], question: Set[str]) -> Callable[[str], bool]:
    """Return what says of an answer's word whether it may be the year, or other number, that a question asks for."""
    if question & _words(overlap["year_words"]):
        return lambda word: len(word) == 4 and word.isdecimal() and word[0] in "12" and word not in question
    if question & _words(overlap["amount_words"]):
        numerals = _words(overlap["numerals"])
        return lambda word: (word in numerals or any(map(str.isdigit, word))) and word not in question
    return lambda word: False


def _closeness(answers: Sequence[Iterable[str]], idf: Mapping[str, float], vectors: Vectors) -> np.ndarray:
    """Return two features of each answer: the mean over the question's words, which `idf` has, of the greatest cosine
    with a word of the answer, 0 at least, and the same weighted by idf.
    """
    known = {word: vector for word in {*idf, *chain(*answers)} if (vector := vectors.get(word)) is not None}
    closest = np.zeros((len(answers), len(idf)))
    asked = [place for place, word in enumerate(idf) if word in known]
    if asked:
        places = {word: place for place, word in enumerate(known)}
        units = np.stack(list(known.values()))
        units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        cosines = units[[places[word] for word in idf if word in known]] @ units.T  # (question's words, words)
        for row, answer in zip(closest, answers, strict=True):
            if columns := [places[word] for word in answer if word in places]:
                row[asked] = cosines[:, columns].max(1)
    weights = np.array([[1.0, each] for each in idf.values()]).reshape(-1, 2)
    total = weights.sum(0)
    return np.maximum(closest, 0) @ weights / np.where(total > 0, total, 1.0)


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
def _frequency(lines: str) -> dict[str, int]:
    pairs = (line.split(" ") for line in lines.split("\n") if line)
    return {stem: int(count) for stem, count in pairs}


@lru_cache(maxsize=8)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())
