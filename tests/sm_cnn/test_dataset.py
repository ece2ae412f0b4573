"""TrecQA and WikiQA folders: pairs become questions, and a broken folder is an error that names file and line."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from sm_cnn.dataset import Question, read_questions
from toolkit.cli import CommandError

PAIRS = [
    ("32.1", "who wrote it ?", "she wrote it -lrb- alone -rrb-", "1"),
    ("32.1", "who wrote it ?", "nobody knows", "0"),
    ("7", "when ?", "it isn't known", "0"),
]


def write(folder: Path, pairs: Sequence[tuple[str, ...]] = PAIRS) -> Path:
    folder.mkdir(exist_ok=True)
    for name, column in zip(("id.txt", "a.toks", "b.toks", "sim.txt"), zip(*pairs, strict=True), strict=True):
        (folder / name).write_text("".join(f"{field}\n" for field in column))
    return folder


def test_pairs_are_grouped_by_question_and_tokenized_as_in_serving(tmp_path: Path) -> None:
    folder = write(tmp_path)
    first, second, third = (f"{folder / 'b.toks'}, line {number}" for number in (1, 2, 3))
    assert read_questions(folder) == [
        Question(
            "32.1",
            ["who", "wrote", "it", "?"],
            [["she", "wrote", "it", "(", "alone", ")"], ["nobody", "knows"]],
            [1, 0],
            "who wrote it ?",
            ["she wrote it -lrb- alone -rrb-", "nobody knows"],
            [first, second],
        ),
        Question("7", ["when", "?"], [["it", "is", "n't", "known"]], [0], "when ?", ["it isn't known"], [third]),
    ]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("7", "when ?", "now", "2"), r"sim\.txt, line 4: label '2' is neither 0 nor 1"),
        (("7", "when ?", " ", "0"), r"b\.toks, line 4: no words"),
        (("7", "", "now", "0"), r"a\.toks, line 4: no words"),
        (("7", "where ?", "here", "0"), r"a\.toks, line 4: another question has the id '7' as well"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, pair: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read_questions(write(tmp_path, [*PAIRS, pair]))


def test_a_file_that_is_missing_short_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=re.escape(f"{tmp_path / 'id.txt'}: no such file")):
        read_questions(tmp_path)
    with (write(tmp_path) / "b.toks").open("a") as lines:
        lines.write("one more\n")
    with pytest.raises(CommandError, match=r"b\.toks: 4 lines, but id\.txt has 3"):
        read_questions(tmp_path)
    (tmp_path / "a.toks").write_bytes(b"\n\xff\n\n")
    with pytest.raises(CommandError, match=r"a\.toks, line 2: not UTF-8"):
        read_questions(tmp_path)
    for name in ("id.txt", "a.toks", "b.toks", "sim.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(CommandError, match="no pairs"):
        read_questions(tmp_path)
