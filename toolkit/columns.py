"""Read columns of CSV, TSV and JSON lines: values with the file and line they stand in.

The content decides which kind a file is, not its name: JSON lines begin with `{`; else the first line names the
columns, and the commonest of comma, tab and semicolon in it divides them.
"""

import csv
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.cli import CommandError, open_lines

DELIMITERS = ",\t;"
LONGEST_FIELD = 1 << 24  # characters; csv's own bound, 2^17, is less than some mails have
BYTE_ORDER_MARK = "\ufeff"


class Record(NamedTuple):
    """The values of some columns in one row."""

    place: str  # file and line
    values: list[str]  # in the order that the columns were asked for, without white space around them


def read_columns(name: str | Path, columns: Sequence[str]) -> Iterator[Record]:
    """Yield some columns of the rows that `read_whole_rows` yields; CommandError also for a value that is no text."""
    for place, row in read_whole_rows(name, columns):
        yield Record(place, [plain(row[column], f"{place}, {column!r}") for column in columns])


def read_whole_rows(name: str | Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and whole row, as it stands there, of a file, compressed or not, or of stdin when `name` is `-`.

    Raises CommandError, which names file and line, for a file without one of `columns` and for rows that can't be read.
    """
    if str(name) != "-" and not Path(name).is_file():
        raise CommandError(f"{name}: no such file" if not Path(name).exists() else f"{name}: not a file")
    shown = "stdin" if str(name) == "-" else str(name)
    lines = open_lines(name)
    first = next(lines, "").removeprefix(BYTE_ORDER_MARK)
    lines = itertools.chain([first], lines)
    if first.lstrip().startswith("["):
        raise CommandError(f"{shown}: a JSON array; write its objects one a line: jq -c '.[]'")
    read = _read_json_lines if first.lstrip().startswith("{") else _read_csv
    yield from read(shown, lines, columns)


def _read_json_lines(name: str, lines: Iterator[str], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise CommandError(f"{place}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise CommandError(f"{place}: not a JSON object; expected one a line")
        _check_columns(place, columns, list(row))
        yield place, row


def plain(value: Any, place: str) -> str:
    """Return a JSON value as text: strings as they are, numbers and booleans as JSON spells them, null as nothing."""
    if isinstance(value, (dict, list)):
        raise CommandError(f"{place}: a JSON {'object' if isinstance(value, dict) else 'array'}; expected a string")
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _read_csv(name: str, lines: Iterator[str], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_FIELD)
    header_line = next(lines)
    delimiter = max(DELIMITERS, key=header_line.count)
    reader = csv.reader(itertools.chain([header_line], lines), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1
    while True:
        place = f"{name}, line {line}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise CommandError(
                f"{place}: broken quotes ({error}); a quote in a quoted field is written twice"
            ) from None
        line = reader.line_num + 1
        if row is None:
            break
        if not header:
            header = [column.strip() for column in row]
            _check_columns(place, columns, header)
        elif row:  # an empty line is no row
            if len(row) != len(header):
                raise CommandError(f"{place}: {len(row)} fields, but the first line names {len(header)} columns")
            yield place, {column: row[header.index(column)] for column in header}


def _check_columns(place: str, columns: Sequence[str], there: Sequence[str]) -> None:
    for column in columns:
        if column not in there:
            known = ", ".join(map(repr, there)) or "none"
            raise CommandError(f"{place}: no column {column!r} (there are: {known}); --help says how to name yours")
