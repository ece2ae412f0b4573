"""Rows of a file with a model's answers: the columns that these go to, and the forms they are written in."""

import argparse
import json
from pathlib import Path
from typing import Any

from toolkit.cli import CommandError, output_file
from toolkit.compression import SUFFIXES

PAIR = ["question", "answer"]
NEW_COLUMNS = {"kim_cnn": ("predicted", "probabilities"), "sm_cnn": ("probability", "rank")}

Row = dict[str, Any]


def check_columns(place: str, row: Row, architecture: str) -> None:
    """Raise CommandError if a row has a column that the answer goes to."""
    if there := [column for column in NEW_COLUMNS[architecture] if column in row]:
        raise CommandError(f"{place}: has a column {there[0]!r} already, which the answer goes to; rename it")


def flattened(row: Row) -> Row:
    """Return a row with a column for each probability, and other values of JSON as JSON."""
    flat: Row = {}
    for name, value in row.items():
        if name == "probabilities":
            flat.update({f"probability of {label}": share for label, share in value.items()})
        else:
            flat[name] = json.dumps(value) if isinstance(value, (dict, list, bool)) else value
    return flat


def kind(name: str) -> str:
    """Return the suffix of a file's name that says what it holds, without that of a compression."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix in SUFFIXES else path).suffix


def answered(name: str) -> str:
    """Return the name of the output, for argparse."""
    if name != "-":
        output_file(name)
        if kind(name) not in (".csv", ".jsonl"):
            raise argparse.ArgumentTypeError(f"{name} is named neither .csv nor .jsonl")
    return name
