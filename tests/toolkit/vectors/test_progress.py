"""Where an upload resumes, and what is kept for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.vectors.file import VectorFile
from toolkit.vectors.progress import Progress, ResumePoint, resume_point
from toolkit.vectors.selection import Selection

Write = Callable[..., Path]
END = 100
HALF, FINISHED = ResumePoint(50, 7), ResumePoint(END, 8)


@pytest.mark.parametrize(
    ("saved", "found", "verify", "expected"),
    [
        (None, None, False, None),
        (None, None, True, None),
        (HALF, HALF, False, HALF),
        (HALF, HALF, True, HALF),
        (HALF, ResumePoint(50, 9), False, None),  # other words
        (HALF, ResumePoint(60, 7), False, None),  # the words end elsewhere
        (HALF, None, False, None),
        (FINISHED, FINISHED, False, None),  # asked for again: written again
        (FINISHED, FINISHED, True, FINISHED),  # only to be read back
        (FINISHED, ResumePoint(END, 9), True, None),
    ],
)
def test_resumes_only_where_the_file_is_the_same(
    saved: ResumePoint | None, found: ResumePoint | None, verify: bool, expected: ResumePoint | None
) -> None:
    assert resume_point(saved, found, END, verify) == expected


@pytest.mark.parametrize("wanted", [None, ["b", "a"]])
def test_what_is_saved_is_loaded_by_the_same_upload_only(state_folder: Path, wanted: list[str] | None) -> None:
    assert Progress("table", "float32", wanted, False).load() is None
    Progress("table", "float32", wanted, False).save(HALF)
    other_words = ["a", "c"]
    assert Progress("table", "float32", wanted and ["a", "b"], False).load() == HALF
    assert Progress("table", "float32", wanted, True).load() == HALF
    assert Progress("other table", "float32", wanted, False).load() is None
    assert Progress("table", "float16", wanted, False).load() is None
    assert Progress("table", "float32", other_words, False).load() is None
    Progress("table", "float32", wanted, False).forget()
    assert Progress("table", "float32", wanted, False).load() is None
    Progress("table", "float32", wanted, False).forget()  # nothing there


def test_without_skipping_what_was_written_with_skipped_lines_starts_over() -> None:
    Progress("table", "float32", None, True).save(HALF)
    assert Progress("table", "float32", None, True).load() == HALF
    assert Progress("table", "float32", None, False).load() is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"offset": 12', '{"offset": "x", "checksum": 1}', "null"])
def test_progress_that_cannot_be_read_is_no_progress(state_folder: Path, content: str) -> None:
    progress = Progress("table", "float32", None, False)
    progress.save(HALF)
    progress.path.write_text(content)
    assert progress.load() is None


def test_a_folder_that_cannot_be_made_is_logged(state_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_folder.parent.write_text("a file, where a folder should be")
    progress = Progress("table", "float32", None, False)
    progress.save(HALF)
    assert "progress can't be kept: " in capsys.readouterr().err
    assert progress.load() is None
    progress.forget()


def test_progress_is_in_the_home_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    folder = Progress("table", "float32", None, False).path.parent
    assert folder == Path.home() / ".local/state/serverless-inference"


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
    with pytest.raises(Exception, match="line 2"):
        list(selection.items())
    assert selection.point.offset == 6
    assert [word for word, _ in selection.items(after=12)] == ["b", "c", "d"]  # written ones are not parsed again
