"""Texts of a file: the lines of plain text, or columns of CSV, TSV and JSON lines."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.cli import read_lines
from toolkit.columns import read_columns
from toolkit.compression import SUFFIXES

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
DEFAULT_COLUMN = "text"


def add_text_column(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the columns with text."""
    parser.add_argument(
        "--text-column",
        action="append",
        metavar="NAME",
        help="a column of CSV, TSV or JSON lines; may be given again: the texts join (default: plain text, but "
        f"{DEFAULT_COLUMN} of a file named {', '.join(TABLES[:-1])} or {TABLES[-1]})",
    )


def read_texts(name: str, columns: Sequence[str] | None) -> Iterator[str]:
    """Yield the texts of a file, compressed or not, or of stdin when `name` is `-`.

    These are the `columns` of each row, joined. Without columns they are the lines, or the column `text` of a file
    that is CSV, TSV or JSON lines by its name. Raises CommandError as `read_lines` and `read_columns` do.
    """
    if not columns and not is_table(name):
        yield from read_lines(name)
        return
    for record in read_columns(name, columns or [DEFAULT_COLUMN]):
        yield " ".join(filter(None, record.values))


def is_table(name: str) -> bool:
    """Return whether a file is CSV, TSV or JSON lines by its name."""
    path = Path(name.lower())
    return (path.with_suffix("") if path.suffix in SUFFIXES else path).suffix in TABLES
