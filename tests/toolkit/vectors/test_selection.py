"""Which words of a file are written, what is counted, and the points in it where an upload can resume."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.item_format import encode_vector
from toolkit.vectors.file import BadLineError, VectorFile
from toolkit.vectors.selection import BAD_LINES_SHOWN, Selection

Write = Callable[..., Path]

LINES = ["a 1 1", "bad 1", "b 2 2", "a 3 3", "c 4 4", "d 5 5"]
ENDS = [6, 12, 18, 24, 30, 36]


def select(path: Path, wanted: list[str] | None = None, skip_bad_lines: bool = True) -> Selection:
    selection = Selection(VectorFile(path), "float32", wanted, skip_bad_lines)
    selection.survey(quiet=True)
    return selection


@pytest.mark.parametrize(
    ("wanted", "words"),
    [(None, [(0, 0), (6, 1), (12, 2), (18, 3), (24, 3), (30, 4), (36, 5), (99, 5)]), (["d", "a"], [(24, 1), (36, 2)])],
)
def test_counts_the_words_before_an_offset(
    vector_file: Write, wanted: list[str] | None, words: list[tuple[int, int]]
) -> None:
    selection = select(vector_file(*LINES), wanted)
    for offset, count in words:
        point, before = selection.at(offset)
        assert (point.offset, before) == (min(offset, 36), count)
    assert selection.at(7)[0].offset == 12  # the end of that word


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_survey_shows_how_far_it_is_on_a_terminal_and_leaves_nothing_behind(
    vector_file: Write, terminal: bool, quiet: bool, shown: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    Selection(VectorFile(vector_file("3 2", "a 1 1", "b 2 2", "c 3 3")), "float32").survey(quiet)
    output = capsys.readouterr().err
    assert bool(output) == shown
    if shown:
        assert re.search(r"\rreading: .*0/3 .*\? words/s\]", output)
        assert output.endswith(" \r")  # the line is blank again


def test_the_survey_shows_its_progress_unless_told_not_to(
    vector_file: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Selection(VectorFile(vector_file("a 1 1")), "float32").survey()
    assert "reading: " in capsys.readouterr().err


def test_before_a_survey_and_a_reading_there_are_no_words_and_the_point_is_the_beginning(vector_file: Write) -> None:
    header = "2 2"
    selection = Selection(VectorFile(vector_file(header, "a 1 1", "b 2 2")), "float32")
    start = len(header) + 1
    assert (selection.words, selection.end, selection.point.offset) == (0, start, start)


def test_points_are_those_of_the_file_and_change_with_it(vector_file: Write) -> None:
    selection = select(vector_file(*LINES))
    points = [(word, selection.point) for word, _ in selection.items()]
    assert [(word, point.offset) for word, point in points] == [("a", 6), ("b", 18), ("c", 30), ("d", 36)]
    assert all(selection.at(point.offset)[0] == point for _, point in points)
    assert selection.point == selection.at(selection.end)[0]
    changed = select(vector_file(*LINES[:3], "a 3 4", *LINES[4:]))
    same = [changed.at(point.offset)[0] == point for _, point in points]
    assert same == [True, True, False, False]


@pytest.mark.parametrize("after", [0, *ENDS])
def test_items_behind_an_offset_are_the_rest_and_the_counts_those_of_the_file(vector_file: Write, after: int) -> None:
    selection = select(vector_file(*LINES), ["a", "b", "c", "bad", "none"])
    ends = {"a": 6, "b": 18, "c": 30}
    assert [word for word, _ in selection.items(after)] == [word for word, end in ends.items() if end > after]
    assert (selection.duplicates, selection.bad_lines) == (1, 1)
    assert list(selection.missing) == [b"bad", b"none"]
    assert selection.words == 4


def test_the_point_stays_before_a_bad_line(vector_file: Write) -> None:
    selection = select(vector_file(*LINES), skip_bad_lines=False)
    with pytest.raises(BadLineError, match="line 2"):
        list(selection.items())
    assert selection.point.offset == 6
    assert [word for word, _ in selection.items(after=12)] == ["b", "c", "d"]  # written ones are not parsed again


def test_a_selection_without_words_is_empty(vector_file: Write) -> None:
    selection = select(vector_file(*LINES), ["none"])
    assert (selection.words, list(selection.items()), list(selection.missing)) == (0, [], [b"none"])
    assert selection.end == selection.point.offset == 36


def test_the_first_good_line_of_a_word_wins(vector_file: Write) -> None:
    selection = select(vector_file("a nan 1", "b 1 1", "a 2 2", "a 3 3", "b 4 4", "c 5 5"))
    expected = {"b": [1, 1], "a": [2, 2], "c": [5, 5]}
    assert list(selection.items()) == [
        (word, encode_vector(np.array(vector, np.float32))) for word, vector in expected.items()
    ]
    assert (selection.words, selection.duplicates, selection.bad_lines) == (3, 2, 1)


def test_bad_lines_are_named_up_to_a_number_and_counted_on(
    vector_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = vector_file(*(f"word{number} 1 2" for number in range(50)), *(f"bad{number} 1 x" for number in range(30)))
    selection = select(path)
    assert len(list(selection.items())) == 50
    assert selection.bad_lines == 30
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert lines[0] == f"{path}, line 51: 'x' is not a number; skipped"
    assert lines[-1] == f"{path}, line 70: 'x' is not a number; skipped; further ones are only counted"
    assert len(lines) == BAD_LINES_SHOWN


def test_a_value_that_the_format_cannot_hold_is_a_bad_line(vector_file: Write) -> None:
    selection = Selection(VectorFile(vector_file("a 1 2", "b 70000 2")), "float16")
    items = selection.items()
    assert next(items) == ("a", encode_vector(np.array([1, 2], np.float32), "float16"))
    with pytest.raises(BadLineError, match=r"line 2: a value is out of the range of float16"):
        next(items)
