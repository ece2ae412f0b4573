"""Labelled text: rows of a text and its label, checked, and split into what is trained on and what is measured with."""

from collections import Counter
from collections.abc import Iterable, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sklearn.model_selection import train_test_split

from toolkit.cli import CommandError, log
from toolkit.columns import read_columns

DEV_SHARE = 10  # a tenth


class Row(NamedTuple):
    """A text with its label."""

    text: str
    label: str
    place: str  # file and line, for messages


def read_rows(name: str | Path, text_columns: Sequence[str] = ("text",), label_column: str = "label") -> list[Row]:
    """Read the rows of a CSV, TSV or JSON lines file, or of stdin when `name` is `-`; several text columns join.

    Raises CommandError, which names file and line, for a row without text or label and for what can't be read.
    """
    rows = []
    for place, (label, *texts) in read_columns(name, [label_column, *text_columns]):
        text = " ".join(filter(None, texts))
        if not text or not label:
            raise CommandError(f"{place}: no {'label' if text else 'text'}")
        rows.append(Row(text, label, place))
    if not rows:
        raise CommandError(f"{'stdin' if str(name) == '-' else name}: no rows in it")
    return rows


def classes_of(rows: Sequence[Row]) -> list[str]:
    """Return the labels of the rows, sorted; raise CommandError when they can't be trained on."""
    counts = Counter(row.label for row in rows)
    for row in rows:
        if len(counts) == 1:
            raise CommandError(f"{row.place}, and all rows after it: the label {row.label!r}; two classes are needed")
        if counts[row.label] == 1:
            raise CommandError(f"{row.place}: the only row with the label {row.label!r}; a class needs two at least")
    return sorted(counts)


class Data(NamedTuple):
    """Rows to train on and to measure with, and the names of the classes in order."""

    train: list[Row]
    dev: list[Row]
    test: list[Row]  # empty when there is none
    labels: list[str]


def read_data(
    name: Path, dev: Path | None, test: Path | None, text_columns: Sequence[str], label_column: str, seed: int
) -> Data:
    """Read rows to train on, and those of the files `dev` and `test`; without `dev` a tenth of the rows, by `seed`.

    What a user should know of them before training goes to stderr. Raises CommandError for data that can't be used.
    """
    read = partial(read_rows, text_columns=text_columns, label_column=label_column)
    train = read(name)
    labels = classes_of(train)
    train, dev_rows = (train, read(dev)) if dev else split(train, seed)
    test_rows = read(test) if test else []
    for rows in (dev_rows, test_rows):
        check_labels(rows, labels)
    new = unseen(dev_rows, train)
    if not new:
        raise CommandError(f"{dev or name}: every text of the dev set is trained on as well: nothing to measure with")
    log(f"{len(labels)} classes")
    log_counts("rows", train, dev_rows, new, test_rows, unseen(test_rows, train))
    counts = Counter(row.label for row in train)
    for label in sorted(set(labels) - {row.label for row in new}):
        log(f"note: {label!r} has {counts[label]} rows to train on and none of dev: its figures will say little")
    return Data(train, new, test_rows, labels)


def log_counts(items: str, train: Sized, dev: Sized, new_dev: Sized, test: Sized, new_test: Sized) -> None:
    """Say how many `items`, such as "rows", there are, and how many of dev and test are trained on as well.

    `new_dev` and `new_test` are those that are not; the others of dev are left out.
    """
    log(f"{len(train)} {items} to train on, {len(new_dev)} of dev, {len(test)} of test")
    if len(new_dev) < len(dev):
        log(f"note: left out {len(dev) - len(new_dev)} {items} of dev that are trained on as well")
    if len(new_test) < len(test):
        log(f"note: {len(test) - len(new_test)} {items} of test are trained on as well")


def check_labels(rows: Iterable[Row], labels: Sequence[str]) -> None:
    """Raise CommandError, which names file and line, for a label that is none of `labels`."""
    known = set(labels)
    for row in rows:
        if row.label not in known:
            raise CommandError(f"{row.place}: label {row.label!r} is none of the model's: {', '.join(labels)}")


def split(rows: Sequence[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """Return training and dev rows, both in their order: a tenth of each class is dev, drawn by `seed`.

    Every class has two rows at least. One with few may have none in dev.
    """
    labels = [row.label for row in rows]
    dev = max(len(rows) // DEV_SHARE, len(set(labels)))  # scikit-learn wants one for each class at least
    train_rows, dev_rows = train_test_split(range(len(rows)), test_size=dev, random_state=seed, stratify=labels)
    return [rows[row] for row in sorted(train_rows)], [rows[row] for row in sorted(dev_rows)]


def unseen(rows: Iterable[Row], train: Iterable[Row]) -> list[Row]:
    """Return the rows whose text is not in `train` too; case and white space make no difference."""
    seen = {_essence(row) for row in train}
    return [row for row in rows if _essence(row) not in seen]


def _essence(row: Row) -> str:
    return " ".join(row.text.casefold().split())
