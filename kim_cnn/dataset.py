"""Sentence classification data in: the Stanford Sentiment Treebank as `label<TAB>sentence` lines."""

from pathlib import Path
from typing import NamedTuple

from inference.tokenizer import tokenize


class DataError(Exception):
    """Data that can't be used; the message names file and line."""


class Sentence(NamedTuple):
    """A sentence and its class."""

    words: list[str]
    label: int


def read_sentences(path: Path, classes: int) -> list[Sentence]:
    """Read the tokenized sentences of a file with labels 0 … classes − 1; raises DataError."""
    sentences = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                label, tab, text = line.rstrip("\n").partition("\t")
                if not tab:
                    raise DataError(f"{path}, line {number}: no tab between label and sentence")
                if not (label.isdecimal() and int(label) < classes):
                    raise DataError(f"{path}, line {number}: label {label!r} is not 0 to {classes - 1}")
                words = tokenize(text)
                if not words:
                    raise DataError(f"{path}, line {number}: no words after the label")
                sentences.append(Sentence(words, int(label)))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not sentences:
        raise DataError(f"{path}: no sentences in it")
    return sentences
