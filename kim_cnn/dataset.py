"""Sentences with their classes: the Stanford Sentiment Treebank, as lines of label, tab, sentence."""

from pathlib import Path
from typing import NamedTuple

from inference.tokenizer import Tokenizer, tokenize
from toolkit.cli import CommandError, read_lines


class Sentence(NamedTuple):
    """A sentence and its class."""

    words: list[str]
    label: int
    text: str  # as the file has it


def read_sentences(path: Path, classes: int | None = None, tokenizer: Tokenizer = tokenize) -> list[Sentence]:
    """Read and tokenize the sentences of a file with labels 0 … `classes` − 1, or any from 0.

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
        words = tokenizer(text)
        if not words:
            raise CommandError(f"{path}, line {number}: no words after the label")
        sentences.append(Sentence(words, int(label), text))
    if not sentences:
        raise CommandError(f"{path}: no sentences in it")
    return sentences
