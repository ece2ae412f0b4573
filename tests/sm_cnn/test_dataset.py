"""Pairs become questions, of one's own and of TrecQA and WikiQA; what is wrong is named by file and line."""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tokenizer import Tokenizer, tokenize
from sm_cnn.dataset import Question, read_own, read_questions, split, unseen
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
        (("7", "where ?", "here", "0"), r"b\.toks, line 4: another question has the id '7' as well"),
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


OWN = [("Who wrote it?", "She wrote it", "1"), ("when?", "It isn't known", "0"), ("who  WROTE it ?", "nobody", "0")]


def write_own(path: Path, pairs: Sequence[tuple[str, str, str]] = OWN) -> Path:
    text = "".join(f'"{question}","{answer}",{label}\n' for question, answer, label in pairs)
    path.write_text(f"question,answer,label\n{text}")
    return path


def test_questions_of_the_same_words_are_one_question(tmp_path: Path) -> None:
    path = write_own(tmp_path / "qa.csv")
    assert read_questions(path) == [
        Question(
            "who wrote it ?",
            ["who", "wrote", "it", "?"],
            [["she", "wrote", "it"], ["nobody"]],
            [1, 0],
            "Who wrote it?",
            ["She wrote it", "nobody"],
            [f"{path}, line 2", f"{path}, line 4"],
        ),
        Question("when ?", ["when", "?"], [["it", "is", "n't", "known"]], [0], "when?", ["It isn't known"],
                 [f"{path}, line 3"]),
    ]  # fmt: skip


def test_every_format_holds_the_same_questions(tmp_path: Path) -> None:
    expected = [question._replace(places=[]) for question in read_questions(write_own(tmp_path / "qa.csv"))]
    rows = [dict(zip(("question", "answer", "label"), (*row[:2], int(row[2])), strict=True)) for row in OWN]
    (tmp_path / "qa.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    (tmp_path / "qa.tsv").write_text("label\tanswer\tquestion\n" + "".join(f"{z}\t{y}\t{x}\n" for x, y, z in OWN))
    for name in ("qa.jsonl.gz", "qa.tsv"):
        assert [question._replace(places=[]) for question in read_questions(tmp_path / name)] == expected


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("who?", "me", "2"), r"qa\.csv, line 5: label '2' is neither 0 nor 1"),
        (("who?", "me", ""), r"qa\.csv, line 5: label '' is neither 0 nor 1"),
        (("who?", " ", "1"), r"qa\.csv, line 5: no answer"),
        (("", "me", "1"), r"qa\.csv, line 5: no question"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, pair: tuple[str, str, str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read_questions(write_own(tmp_path / "qa.csv", [*OWN, pair]))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"qa\.csv: no rows in it"):
        read_questions(write_own(tmp_path / "qa.csv", []))


questions = st.lists(st.integers(0, 1), min_size=2, max_size=60).map(
    lambda labels: [
        Question(str(n), [f"word{n}"], [["yes"], ["no"]], [0, label], f"word{n}", ["yes", "no"], ["", ""])
        for n, label in enumerate(labels)
    ]
)


@given(questions, st.integers(0, 3))
def test_dev_is_a_tenth_of_the_questions_all_with_a_relevant_answer(asked: list[Question], seed: int) -> None:
    answered = [question for question in asked if 1 in question.labels]
    if len(answered) < 2:
        with pytest.raises(CommandError, match=rf"qa: {len(answered)} questions with a relevant answer"):
            split(asked, seed, "qa")
        return
    train, dev = split(asked, seed, "qa")
    assert (train, dev) == split(asked, seed, "qa")
    assert sorted([*train, *dev], key=asked.index) == asked
    assert unseen(dev, train) == dev
    assert len(dev) == min(max(len(asked) // 10, 1), len(answered) - 1)
    assert all(1 in question.labels for question in dev)
    assert any(1 in question.labels for question in train)


def test_another_seed_draws_other_questions(tmp_path: Path) -> None:
    pairs = [(f"who is number {n}", "me", str(answer)) for n in range(100) for answer in (0, 1)]
    asked = read_questions(write_own(tmp_path / "qa.csv", pairs))
    assert split(asked, 1, "")[1] != split(asked, 2, "")[1]


def test_questions_of_dev_that_are_trained_on_are_left_out_and_those_of_test_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = write_own(tmp_path / "qa.csv", [("who?", "me", "1"), ("who?", "you", "0"), ("when?", "now", "1")])
    dev = write_own(tmp_path / "dev.csv", [("WHO ?", "me", "1"), ("what?", "this", "1")])
    data = read_own(train, dev, dev, Tokenizer(max_words=9), 1)
    assert [[question.text for question in each] for each in data] == [["who?", "when?"], ["what?"], ["WHO ?", "what?"]]
    notes = capsys.readouterr().err.splitlines()
    assert notes == [
        "2 questions to train on, 1 of dev, 2 of test",
        "note: left out 1 questions of dev that are trained on as well",
        "note: 1 questions of test are trained on as well",
    ]
    with pytest.raises(CommandError, match=r"qa\.csv: no question with a relevant answer that is not trained on"):
        read_own(train, train, None, tokenize, 1)


@pytest.mark.parametrize("label", ["0", "1"])
def test_answers_of_one_label_cannot_be_trained_on(tmp_path: Path, label: str) -> None:
    dev = write_own(tmp_path / "dev.csv", [("what?", "this", "1")])
    train = write_own(tmp_path / "qa.csv", [("who?", "me", label), ("when?", "now", label)])
    with pytest.raises(CommandError, match=rf"qa\.csv: every answer to train on has the label {label}; both"):
        read_own(train, dev, None, tokenize, 1)


def test_sentences_are_cut_to_what_the_model_takes_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_own(tmp_path / "qa.csv", [("who is it", "a b c d", "1"), ("when", "e", "0"), ("how", "f", "1")])
    data = read_own(path, None, path, Tokenizer(max_words=2), 1)
    assert [question.words for question in data.test] == [["who", "is"], ["when"], ["how"]]
    assert data.test[0].answers == [["a", "b"]]
    assert "note: sentences cut to 2 words, the most that the model takes" in capsys.readouterr().err
