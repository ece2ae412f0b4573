"""Sentences with their classes: the Stanford Sentiment Treebank, as lines of label, tab, sentence."""

from pathlib import Path
from typing import NamedTuple

from inference.tokenizer import tokenize
from toolkit.cli import CommandError, read_lines


class Sentence(NamedTuple):
    """A sentence and its class."""

    words: list[str]
    label: int


def read_sentences(path: Path, classes: int | None = None) -> list[Sentence]:
    """Read the tokenized sentences of a file with labels 0 … `classes` − 1, or any from 0.

    Raises CommandError, which names file and line, for data that can't be used.
    """
    if not path.exists():
        raise CommandError(f"{path}: no such file")
    sentences = []
    for number, line in enumerate(read_lines(path), 1):
        label, tab, text = line.partition("\t")
        if not tab:
            raise CommandError(f"{path}, line {number}: no tab between label and sentence")
        if not label.isdecimal() or (classes is not None and int(label) >= classes):
            expected = "a number" if classes is None else f"0 to {classes - 1}"
            raise CommandError(f"{path}, line {number}: label {label!r} is not {expected}")
        words = tokenize(text)
        if not words:
            raise CommandError(f"{path}, line {number}: no words after the label")
        sentences.append(Sentence(words, int(label)))
    if not sentences:
        raise CommandError(f"{path}: no sentences in it")
    return sentences
