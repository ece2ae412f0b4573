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
from typing import Any

import numpy as np
from snowballstemmer import EnglishStemmer

from inference.word_vectors import embed

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

# The vectors of a question's words (time, dim) and of its answers' (answers, time, dim), zero past each end.
Vectors = tuple[np.ndarray, np.ndarray]
NO_VECTORS = np.zeros((0, 0), np.float32), np.zeros((0, 0, 0), np.float32)
TINY = np.finfo(np.float32).tiny


def count(features: bool | int) -> int:
    """Return how many features a config's `features` means: true is the four of the paper, false none."""
    return OVERLAPS if features is True else int(features)


def fit(
    questions: Sequence[Question],
    number: int = OVERLAPS,
    table: Mapping[str, np.ndarray | None] | None = None,
    length: int = 0,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return what that `number` of features needs, from training questions, and the features of all their pairs.

    Each question and answer is a document. The features are standardised, float32 (pairs, number). All need the `table`
    of word vectors of that `length`.
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

    def vectors(sentences: Sequence[Sequence[str]]) -> np.ndarray:
        return embed(sentences, table or {}, length)[0]

    raw = np.concatenate(
        [
            features(overlap, question, answers, (vectors([question])[0], vectors(answers)))
            for question, answers in questions
        ]
    )
    mean, scale = raw.mean(0, np.float64), np.where(raw.std(0) > 0, raw.std(0), 1.0)
    standardised: np.ndarray = ((raw - mean) / scale).astype(np.float32)
    return {**overlap, "mean": mean.tolist(), "scale": scale.tolist()}, standardised


def features(
    overlap: Mapping[str, Any],
    question: Sequence[str],
    answers: Sequence[Sequence[str]],
    vectors: Vectors = NO_VECTORS,
) -> np.ndarray:
    """Return the features of each answer to the question, standardised, float32 (answers, features).

    The columns: share of the question's words that the answer has, the same weighted by idf, and both again without
    stop words; where the first of the latter stands in the answer, as a share of its length, 1 for none; the logarithm
    of its length; 1 if it has the number asked for, or 0; and both of `_closeness`, which need the `vectors`.
    """
    number = len(overlap["mean"])
    stems = _stems(question)
    frequency, stop_words = _frequency(overlap["document_frequency"]), _words(overlap["stop_words"])
    # A stem in n of N training documents has idf ln(N / n), one not seen in training counts as seen once.
    idf = {word: math.log(overlap["documents"] / frequency.get(stem, 1)) for word, stem in stems.items()}
    every = [(stem, idf[word]) for word, stem in stems.items()]
    content = [(stem, idf[word]) for word, stem in stems.items() if word not in stop_words]
    totals = sum(idf.values()), sum(weight for _, weight in content)
    content_stems = {stem for stem, _ in content}
    has_number = _number_asked(overlap, set(question)) if number > OVERLAPS else None
    asked = set(stems.values())
    repeats = {word: stem for word, stem in _stems(set().union(*answers)).items() if stem in asked}
    rows = []
    for answer in answers:
        repeated = [(place, repeats[word]) for place, word in enumerate(answer) if word in repeats]
        found = {stem for _, stem in repeated}
        row = [*_shares(every, totals[0], found), *_shares(content, totals[1], found)]
        if has_number:
            first = next((place for place, stem in repeated if stem in content_stems), len(answer))
            row += (first / len(answer), math.log(len(answer)), has_number(answer))
        rows.append(row)
    raw = np.array(rows)
    if number > OF_WORDS:
        raw = np.concatenate([raw, _closeness(idf, question, *vectors)], 1)
    standardised: np.ndarray = ((raw - overlap["mean"]) / overlap["scale"]).astype(np.float32)
    return standardised


def _shares(weights: Sequence[tuple[str, float]], total: float, found: Set[str]) -> tuple[float, float]:
    """Return which share of the question's words an answer has, and which share of the `total` of their weights.

    `weights` has the stem and the idf of each word, `found` the stems of the answer.
    """
    shared = [weight for stem, weight in weights if stem in found]
    return _share(len(shared), len(weights)), _share(sum(shared), total)


def _number_asked(overlap: Mapping[str, Any], question: Set[str]) -> Callable[[Iterable[str]], bool]:
    """Return what says whether an answer has what may be the year, or other number, that the question asks for."""
    if not question.isdisjoint(_words(overlap["year_words"])):
        return lambda answer: any(len(word) == 4 and _is_year(word) and word not in question for word in answer)
    if not question.isdisjoint(_words(overlap["amount_words"])):
        numerals = _words(overlap["numerals"])
        return lambda answer: any(_is_amount(word, numerals) and word not in question for word in answer)
    return lambda answer: False


def _is_year(word: str) -> bool:
    return word.isdecimal() and word[0] in "12"


def _is_amount(word: str, numerals: Set[str]) -> bool:
    return word in numerals or any(map(str.isdigit, word))


def _closeness(
    idf: Mapping[str, float], question: Sequence[str], of_question: np.ndarray, of_answers: np.ndarray
) -> np.ndarray:
    """Return two features of each answer: the mean over the question's words, which `idf` has, of the greatest cosine
    with a word of the answer, 0 at least, and the same weighted by idf.
    """
    if not idf:
        return np.zeros((len(of_answers), 2))
    asked = of_question[[question.index(word) for word in idf]]
    # Of all words with all; a zero vector, which padding is as well, has the cosine 0.
    cosines = of_answers @ (asked / _lengths(asked)).T / _lengths(of_answers)  # (answers, time, words of the question)
    total = sum(idf.values())
    weights = np.array([(1 / len(idf), _share(each, total)) for each in idf.values()])
    closeness: np.ndarray = np.maximum(cosines.max(1), 0) @ weights
    return closeness


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Return the lengths of vectors (…, dim), (…, 1); that of a zero vector is a little more, to divide by."""
    squares: np.ndarray = np.einsum("...i,...i->...", vectors, vectors)[..., None]
    return np.sqrt(np.maximum(squares, TINY))


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
