"""Questions with candidate answers: pairs of one's own, and TrecQA and WikiQA in the same form.

One's own are rows of CSV, TSV or JSON lines with the columns `question`, `answer` and `label`, 1 for an answer that is
relevant and 0 for one that is not. Rows whose questions have the same words are of one question.

A folder of TrecQA or WikiQA, in the format of Castor, holds one line per pair in four files: `a.toks` the question,
`b.toks` the answer, `id.txt` the question's id, `sim.txt` the label.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inference.tokenizer import Tokenizer, tokenize
from toolkit.cli import CommandError, log, read_lines
from toolkit.columns import read_columns
from toolkit.training.labelled import log_counts

COLUMNS = ("question", "answer", "label")
FILES = ("id.txt", "a.toks", "b.toks", "sim.txt")
DEV_SHARE = 10  # a tenth


class Pair(NamedTuple):
    """A question with a candidate answer."""

    question: str
    answer: str
    label: int  # 1 relevant, 0 not
    place: str  # file and line, for messages
    id: str | None = None  # of the question; None: its words are


class Question(NamedTuple):
    """A question with its candidate answers."""

    id: str
    words: list[str]
    answers: list[list[str]]
    labels: list[int]  # per answer: 1 relevant, 0 not
    text: str  # the question, as the file has it
    answer_texts: list[str]  # the answers, as the file has them
    places: list[str]  # of the answers: file and line


def read_pairs(name: str | Path, columns: Sequence[str] = COLUMNS) -> list[Pair]:
    """Read pairs of one's own, from stdin when `name` is `-`; CommandError names file and line of what is wrong.

    `columns` names those of the question, the answer and the label.
    """
    pairs = []
    for place, (question, answer, label) in read_columns(name, columns):
        if not question or not answer:
            raise CommandError(f"{place}: no {'answer' if question else 'question'}")
        pairs.append(Pair(question, answer, _label(label, place), place))
    if not pairs:
        raise CommandError(f"{'stdin' if str(name) == '-' else name}: no rows in it")
    return pairs


def read_castor(folder: Path) -> list[Pair]:
    """Read the pairs of a folder in the format of Castor; CommandError names file and line of what is wrong."""
    columns = []
    for name in FILES:
        if not (folder / name).exists():
            raise CommandError(f"{folder / name}: no such file; a split has {', '.join(FILES)}")
        columns.append(list(read_lines(folder / name)))
        if len(columns[-1]) != len(columns[0]):
            raise CommandError(
                f"{folder / name}: {len(columns[-1])} lines, but {FILES[0]} has {len(columns[0])}; "
                "the files must have a line for each pair"
            )
    pairs = []
    for number, (id, question, answer, label) in enumerate(zip(*columns, strict=True), 1):
        places = [f"{folder / name}, line {number}" for name in FILES]
        for text, place in ((question, places[1]), (answer, places[2])):
            if not text.strip():
                raise CommandError(f"{place}: no words")
        pairs.append(Pair(question, answer, _label(label, places[3]), places[2], id))
    if not pairs:
        raise CommandError(f"{folder}: no pairs in it")
    return pairs


def _label(label: str, place: str) -> int:
    if label not in ("0", "1"):
        raise CommandError(f"{place}: label {label!r} is neither 0 nor 1")
    return int(label)


def read_questions(path: Path, tokenizer: Tokenizer = tokenize, columns: Sequence[str] = COLUMNS) -> list[Question]:
    """Read and tokenize the questions of a folder in the format of Castor, or of pairs of one's own, in order.

    `columns` are those of one's own. CommandError names file and line of what is wrong.
    """
    questions: dict[str, Question] = {}
    for question, answer, label, place, given in read_castor(path) if path.is_dir() else read_pairs(path, columns):
        words = tokenizer(question)
        id = " ".join(words) if given is None else given
        known = questions.setdefault(id, Question(id, words, [], [], question, [], []))
        if known.words != words:
            raise CommandError(f"{place}: another question has the id {id!r} as well")
        known.answers.append(tokenizer(answer))
        known.labels.append(label)
        known.answer_texts.append(answer)
        known.places.append(place)
    return list(questions.values())


def cut(questions: Sequence[Question], tokenizer: Tokenizer) -> list[Question]:
    """Return the questions, each sentence cut to the words that the model takes; a note on stderr says so."""
    kept = [
        question._replace(words=tokenizer.cut(question.words), answers=[*map(tokenizer.cut, question.answers)])
        for question in questions
    ]
    if kept != list(questions):
        log(f"note: sentences cut to {tokenizer.max_words} words, the most that the model takes")
    return kept


class Data(NamedTuple):
    """Questions to train on and to measure with."""

    train: list[Question]
    dev: list[Question]
    test: list[Question]  # empty when there is none


def read_own(
    name: Path, dev: Path | None, test: Path | None, tokenizer: Tokenizer, seed: int, columns: Sequence[str] = COLUMNS
) -> Data:
    """Read questions to train on, and those of the files `dev` and `test`; without `dev` a tenth of them, by `seed`.

    What a user should know of them before training goes to stderr. Raises CommandError for data that can't be used.
    """
    read = partial(read_questions, tokenizer=tokenizer, columns=columns)
    train = read(name)
    train, dev_questions = (train, read(dev)) if dev else split(train, seed, str(name))
    test_questions = read(test) if test else []
    labels = {label for question in train for label in question.labels}
    if len(labels) == 1:
        raise CommandError(f"{name}: every answer to train on has the label {labels.pop()}; both 0 and 1 are needed")
    new = unseen(dev_questions, train)
    if not any(1 in question.labels for question in new):
        raise CommandError(f"{dev}: no question with a relevant answer that is not trained on: nothing to measure with")
    log_counts("questions", train, dev_questions, new, test_questions, unseen(test_questions, train))
    return Data(*(cut(questions, tokenizer) for questions in (train, new, test_questions)))


def split(questions: Sequence[Question], seed: int, name: str) -> tuple[list[Question], list[Question]]:
    """Return training and dev questions, both in their order: dev is a tenth, drawn by `seed`.

    Dev has only questions with a relevant answer, as no other can be measured. CommandError when there are not two.
    """
    answered = [number for number, question in enumerate(questions) if 1 in question.labels]
    if len(answered) < 2:
        raise CommandError(f"{name}: {len(answered)} questions with a relevant answer; two are needed at least")
    count = min(max(len(questions) // DEV_SHARE, 1), len(answered) - 1)
    chosen = set(np.random.default_rng(seed).choice(answered, count, replace=False).tolist())
    dev = [question for number, question in enumerate(questions) if number in chosen]
    return [question for number, question in enumerate(questions) if number not in chosen], dev


def unseen(questions: Iterable[Question], train: Iterable[Question]) -> list[Question]:
    """Return the questions that are not in `train` too, by their words."""
    seen = {tuple(question.words) for question in train}
    return [question for question in questions if tuple(question.words) not in seen]
