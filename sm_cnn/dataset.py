"""Questions with candidate answers: TrecQA and WikiQA, in the format of Castor.

A folder holds one line per pair of question and candidate answer, in four files: `a.toks` the question,
`b.toks` the answer, `id.txt` the question's id, `sim.txt` 1 for an answer that is relevant and 0 for one
that is not.
"""

from pathlib import Path
from typing import NamedTuple

from inference.tokenizer import Tokenizer, tokenize
from toolkit.cli import CommandError, read_lines

FILES = ("id.txt", "a.toks", "b.toks", "sim.txt")


class Question(NamedTuple):
    """A question with its candidate answers."""

    id: str
    words: list[str]
    answers: list[list[str]]
    labels: list[int]  # per answer: 1 relevant, 0 not
    text: str  # the question, as the file has it
    answer_texts: list[str]  # the answers, as the file has them
    places: list[str]  # of the answers: file and line


def read_questions(folder: Path, tokenizer: Tokenizer = tokenize) -> list[Question]:
    """Read and tokenize the questions of a folder, in order; CommandError names file and line of what is wrong."""
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
    questions: dict[str, Question] = {}
    for number, (id, question, answer, label) in enumerate(zip(*columns, strict=True), 1):
        if label not in ("0", "1"):
            raise CommandError(f"{folder / 'sim.txt'}, line {number}: label {label!r} is neither 0 nor 1")
        words, answer_words = tokenizer(question), tokenizer(answer)
        if not words or not answer_words:
            raise CommandError(f"{folder / ('b.toks' if words else 'a.toks')}, line {number}: no words")
        known = questions.setdefault(id, Question(id, words, [], [], question, [], []))
        if known.words != words:
            raise CommandError(f"{folder / 'a.toks'}, line {number}: another question has the id {id!r} as well")
        known.answers.append(answer_words)
        known.answer_texts.append(answer)
        known.places.append(f"{folder / 'b.toks'}, line {number}")
        known.labels.append(int(label))
    if not questions:
        raise CommandError(f"{folder}: no pairs in it")
    return list(questions.values())
