"""What utils/batch.py makes of rows before they go anywhere; tests/aws/test_batch.py has the rest."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.batch import Done, cause, dollars
from toolkit.cli import CommandError
from utils.batch import PART_CHARACTERS, Read, arguments, estimate, parts, read, survey


def pairs(counts: list[int]) -> list[Read]:
    """Return the rows of questions with so many answers."""
    return [
        Read("", {}, [f"question {number}", f"answer {each}"])
        for number, count in enumerate(counts)
        for each in range(count)
    ]


@given(st.lists(st.integers(1, 30), min_size=1), st.integers(1, 20))
def test_parts_have_all_rows_in_order_and_questions_whole(counts: list[int], most: int) -> None:
    rows = pairs(counts)
    found = list(parts(iter(rows), most))
    assert [row for part in found for row in part] == rows
    questions = [{row.texts[0] for row in part} for part in found]
    assert sum(map(len, questions)) == len(counts)
    assert all(len(part) < most + max(counts) for part in found)
    alone = [row._replace(texts=row.texts[1:]) for row in rows]
    assert [len(part) for part in parts(iter(alone), most)][:-1] == [most] * ((len(rows) - 1) // most)


def test_long_texts_make_smaller_parts() -> None:
    rows = [Read("", {}, ["x" * (PART_CHARACTERS // 4)])] * 10
    assert [len(part) for part in parts(iter(rows), 5000)] == [4, 4, 2]


def test_a_row_without_a_text_is_sent_to_be_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": " a film "}\n{"text": ""}\n{"text": ["no"]}\n{"text": 7}\n')
    assert [row.texts for row in read(str(path), "s3://b/in.jsonl", "kim_cnn", ["text"])] == [
        ["a film"], [""], [None], ["7"],
    ]  # fmt: skip
    with pytest.raises(CommandError, match=r"s3://b/in.jsonl, line 1: no column 'body'"):
        list(read(str(path), "s3://b/in.jsonl", "kim_cnn", ["body"]))


def test_a_question_whose_rows_are_apart_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("question,answer\na,1\nb,2\na,3\n")
    with pytest.raises(CommandError, match=r"line 4: this question had rows before; sort the rows by question"):
        list(read(str(path), str(path), "sm_cnn", ["question", "answer"]))


def test_a_column_that_the_answer_goes_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,predicted\na,1\n")
    with pytest.raises(CommandError, match=r"line 2: has a column 'predicted' already"):
        list(read(str(path), str(path), "kim_cnn", ["text"]))


def test_the_same_rows_make_the_same_batch_whatever_else_is_in_them() -> None:
    rows = [Read(f"line {number}", {"id": number}, [f"text {number}"]) for number in range(20)]
    others = [row._replace(row={"other": 1}) for row in rows]
    digests = [survey(iter(each), 5).digest for each in (rows, others, rows[1:], rows[::-1])]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert survey(iter(rows), 5).sizes == [5, 5, 5, 5]


def test_dollars_grow_with_what_was_done() -> None:
    done = Done(parts=200, rows=1_000_000, words=200_000, seconds=1000)
    assert dollars(done, 1024) == pytest.approx(
        1000 * 0.0000166667 + 200_000 * 0.5 * 0.125e-6 + 200 * (0.2e-6 + 2 * 25e-6 + 2 * 5e-6 + 4 * 0.4e-6)
    )
    seconds, cost = estimate("kim_cnn", 100_000_000, 200, 10, 1769)
    assert seconds < estimate("kim_cnn", 100_000_000, 200, 1, 1769)[0] / 5, "ten functions are faster"
    assert cost < 2 * estimate("kim_cnn", 100_000_000, 200, 1, 1769)[1], "and hardly dearer"


def test_the_cause_of_a_failure_is_what_the_function_raised() -> None:
    raised = {"errorType": "VectorsUnavailableError", "errorMessage": "table t: throttled", "stackTrace": ["…"]}
    assert cause("VectorsUnavailableError", json.dumps(raised)) == "VectorsUnavailableError: table t: throttled"
    assert cause("States.Timeout", "") == "States.Timeout"


@pytest.mark.parametrize("name", ["out.txt", "-", "nowhere/out.csv"])
def test_an_output_that_can_not_be_written_is_bad_usage(name: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        arguments(["run", "in.csv", name, "--model", "kim_cnn"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("command", ["run", "status", "stop", "collect"])
def test_the_help_of_each_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments([command, "--help"])
    assert f"python utils/batch.py {command} " in capsys.readouterr().out
