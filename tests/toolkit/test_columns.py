"""Columns of CSV, TSV and JSON lines: what is written is read, wherever it stands, and what can't be is named."""

import csv
import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.cli import CommandError
from toolkit.columns import read_columns

TABLE = [["text", "label"], ["Printer, on 2nd floor\nsmokes", 'it "now"'], ["fine", "b"]]


def write_csv(rows: list[list[str]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_first_line_decides_what_divides_the_columns(tmp_path: Path, delimiter: str, mark: str) -> None:
    path = tmp_path / "data"
    path.write_bytes((mark + write_csv(TABLE, delimiter)).encode())
    assert [record.values for record in read_columns(path, ["label", "text"])] == [row[::-1] for row in TABLE[1:]]


def test_a_row_is_named_by_the_line_that_it_begins_on(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(write_csv(TABLE) + "\n\nlast,c\n")
    assert [place for place, _ in read_columns(path, ["label"])] == [f"{path}, line {line}" for line in (2, 4, 7)]


def test_json_values_are_text_and_empty_lines_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": " one\\ntwo ", "label": 1, "id": [1]}\n\n{"label": true, "text": null}\n')
    records = list(read_columns(path, ["text", "label"]))
    assert records == [(f"{path}, line 1", ["one\ntwo", "1"]), (f"{path}, line 3", ["", "true"])]


def test_compressed_files_and_stdin_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = write_csv(TABLE).encode()
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(content))
    expected = [values for _, values in read_columns(tmp_path / "data.csv.gz", ["text"])]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert list(read_columns("-", ["text"])) == [
        (f"stdin, line {line}", values) for line, values in zip((2, 4), expected, strict=True)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: no column 'text' .*there are: none"),
        (b"subject,label\na,b\n", "line 1: no column 'text' .*there are: 'subject', 'label'"),
        (b'{"body": "a", "label": "b"}\n', "line 1: no column 'text' .*there are: 'body', 'label'"),
        (b"text,label\na,b\na,b,c\n", "line 3: 3 fields, but the first line names 2"),
        (b'text,label\n"a,b\nc,d\n', "line 2: broken quotes"),
        (b'text,label\na,b\n"a"x,b\n', "line 3: broken quotes"),
        (b"text,label\na,b\n\xff,b\n", "line 3: not UTF-8"),
        ("text,label\na,b\n".encode("utf-16"), "line 1: not UTF-8"),
        (b'{"text": "a", "label": "b"}\n{"text": \n', "line 2: not JSON"),
        (b'{"text": "a", "label": "b"}\n"text label"\n', "line 2: not a JSON object"),
        (b'{"text": ["a"], "label": "b"}\n', "line 1, 'text': a JSON array; expected a string"),
        (b'[{"text": "a", "label": "b"}]', "a JSON array; write its objects one a line"),
    ],
)
def test_what_can_not_be_read_is_named_by_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(CommandError, match=f"{tmp_path / 'data'}.*{message}"):
        list(read_columns(tmp_path / "data", ["text", "label"]))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="none: no such file"):
        list(read_columns(tmp_path / "none", ["text"]))
    with pytest.raises(CommandError, match="not a file"):
        list(read_columns(tmp_path, ["text"]))


# Line ends are those of files: csv and JSON take other separators of Unicode for characters.
fields = st.text(st.characters(codec="utf-8", exclude_characters="\0\r")).map(str.strip)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(fields, fields), max_size=5), delimiter=st.sampled_from(",\t;"))
@example(rows=[("a\u2028b\x1cc\n{", '"')], delimiter=",")
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("columns") / "data"
    expected = [list(row) for row in rows]
    path.write_bytes(write_csv([["text", "label"], *expected], delimiter).encode())
    assert [values for _, values in read_columns(path, ["text", "label"])] == expected
    lines = [json.dumps(dict(zip(("text", "label"), row, strict=True)), ensure_ascii=False) for row in rows]
    path.write_bytes("\n".join(['{"text": "first", "label": ""}', *lines]).encode())
    assert [values for _, values in read_columns(path, ["text", "label"])][1:] == expected
