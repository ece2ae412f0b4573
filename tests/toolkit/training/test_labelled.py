"""Labelled text: checked before training, and split so that a dev set measures what was not trained on."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli import CommandError
from toolkit.training.labelled import Row, classes_of, read_data, read_rows, split, unseen


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def many(label: str, count: int) -> list[tuple[str, str]]:
    return [(f"text {number} of {label}", label) for number in range(count)]


def read(data: Path, dev: Path | None = None, test: Path | None = None, seed: int = 1):  # type: ignore[no-untyped-def]
    return read_data(data, dev, test, ["text"], "label", seed)


def test_text_columns_join_and_an_empty_one_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("body,subject,folder\nlong,short,x\n,short,y\n")
    rows = read_rows(tmp_path / "a.csv", ["subject", "body"], "folder")
    assert [(row.text, row.label) for row in rows] == [("short long", "x"), ("short", "y")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", "x"), (" ", "y")], "line 3: no text"),
        ([("a", "x"), ("b", "")], "line 3: no label"),
        ([], "no rows in it"),
        ([("a", "x"), ("b", "x")], "line 2, and all rows after it: the label 'x'; two classes are needed"),
        ([("a", "x"), ("b", "y"), ("c", "x")], "line 3: the only row with the label 'y'"),
    ],
)
def test_what_can_not_be_trained_on_is_named(tmp_path: Path, rows: list[tuple[str, str]], message: str) -> None:
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(CommandError, match=f"a.csv.*{message}"):
        read(path)


@given(sizes=st.lists(st.integers(2, 40), min_size=2, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_a_tenth_of_each_class_is_dev_and_no_row_is_lost(sizes: list[int], seed: int) -> None:
    rows = [Row(f"{label} {number}", str(label), "") for label, size in enumerate(sizes) for number in range(size)]
    train, dev = split(rows, seed)
    assert sorted(train + dev) == sorted(rows)
    assert (train, dev) == split(rows, seed)
    assert len(dev) == max(len(rows) // 10, len(sizes))
    assert {row.label for row in train} == set(classes_of(rows))
    if len(dev) == len(rows) // 10:
        for label, count in Counter(row.label for row in dev).items():
            assert abs(count - len(dev) / len(rows) * sizes[int(label)]) <= 1


def test_another_seed_draws_another_dev_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", many("x", 50) + many("y", 50))
    assert read(path, seed=1).dev != read(path, seed=2).dev


def test_a_text_that_is_trained_on_is_left_out_of_dev_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", many("x", 5) + many("y", 5))
    dev = write(tmp_path / "dev.csv", [("new", "x"), ("TEXT 1  of x", "y")])
    data = read(path, dev, dev)
    assert [row.text for row in data.dev] == ["new"]
    assert [row.text for row in data.test] == ["new", "TEXT 1  of x"]
    assert len(data.train) == 10
    printed = capsys.readouterr().err
    assert "left out 1 rows of dev" in printed
    assert "1 rows of test" in printed


def test_a_dev_set_of_trained_texts_alone_measures_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", many("x", 5) + many("y", 5))
    with pytest.raises(CommandError, match="every text of the dev set is trained on"):
        read(path, path)


def test_a_class_with_too_few_rows_to_split_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(write(tmp_path / "a.csv", many("x", 50) + many("y", 50) + many("rare", 2)))
    assert "'rare' has 2 rows to train on and none of dev" in capsys.readouterr().err


def test_a_label_of_dev_that_is_not_trained_on_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", many("x", 5) + many("y", 5))
    with pytest.raises(CommandError, match=r"dev\.csv, line 2: label 'z' is none"):
        read(path, write(tmp_path / "dev.csv", [("new", "z")]))


def test_the_same_text_with_two_labels_is_seen() -> None:
    assert unseen([Row("A  b", "x", "")], [Row("a b", "y", "")]) == []
