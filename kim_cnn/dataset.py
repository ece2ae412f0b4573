"""Labelled sentences: rows of one's own data, and the Stanford Sentiment Treebank in the same form."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from inference.tokenizer import Tokenizer
from toolkit.cli import CommandError, log, read_lines
from toolkit.training.labelled import Row, check_labels

# The classes of the Treebank's files `stsa.NAME.*.tsv`, which hold the number of each.
SST_LABELS = {
    "fine": ("very negative", "negative", "neutral", "positive", "very positive"),
    "binary": ("negative", "positive"),
}


class Sentence(NamedTuple):
    """A sentence and its class."""

    words: list[str]
    label: int


def is_sst(path: Path) -> bool:
    """Return whether a file is one of the Treebank's, by its name."""
    return path.name.startswith(tuple(f"stsa.{name}." for name in SST_LABELS))


def read_sst(path: Path) -> list[Row]:
    """Read a file of the Treebank: lines of label, tab, sentence. Raises CommandError for a bad line, naming it."""
    if not path.exists():
        raise CommandError(f"{path}: no such file")
    labels = SST_LABELS[path.name.split(".")[1]]
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}, line {number}"
        label, tab, text = line.partition("\t")
        if not tab:
            raise CommandError(f"{place}: no tab between label and sentence")
        if not label.isdecimal() or int(label) >= len(labels):
            raise CommandError(f"{place}: label {label!r} is not 0 to {len(labels) - 1}")
        rows.append(Row(text, labels[int(label)], place))
    if not rows:
        raise CommandError(f"{path}: no sentences in it")
    return rows


def to_sentences(rows: Iterable[Row], labels: Sequence[str], tokenizer: Tokenizer) -> list[Sentence]:
    """Return the words of each row, cut to what the model takes, with the index of its label in `labels`.

    Raises CommandError, which names file and line, for another label or a text without words.
    """
    rows = list(rows)
    check_labels(rows, labels)
    index = {label: number for number, label in enumerate(labels)}
    sentences, cut = [], 0
    for row in rows:
        words = tokenizer(row.text)
        if not words:
            raise CommandError(f"{row.place}: no words in the text")
        sentences.append(Sentence(tokenizer.cut(words), index[row.label]))
        cut += len(sentences[-1].words) < len(words)
    if cut:
        log(f"note: {cut} of {len(rows)} texts cut to {tokenizer.max_words} words, the most that the model takes")
    return sentences
