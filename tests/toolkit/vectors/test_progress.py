"""Where an upload resumes, and what is kept for it."""

import json
from pathlib import Path

import pytest

from toolkit.vectors.progress import Progress, ResumePoint, resume_point

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
    Progress("table", "float32", wanted, False).save(ResumePoint(10, 1))
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


def test_progress_that_an_earlier_version_of_the_project_kept_is_found(state_folder: Path) -> None:
    state_folder.mkdir(parents=True)
    kept = {
        "upload": {"format": "float16", "wordlist": "7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78"},
        "skip_bad_lines": False,
        "offset": 50,
        "checksum": 7,
    }
    (state_folder / "440a19c3b5504a182f4fd2d9fac2fb30.json").write_text(json.dumps(kept))
    assert Progress("a table's id", "float16", ["b", "a"], False).load() == HALF


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
