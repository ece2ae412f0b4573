"""Training on a file of one's own: what it writes is measured and served as it was trained."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from inference.tokenizer import Tokenizer
from kim_cnn import evaluate, predict, train
from toolkit.cli import CommandError
from toolkit.vectors.file import read_vectors

pytestmark = pytest.mark.usefixtures("one_thread")

DIM = 8
WORDS = "the is of a in printer mail".split()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with tickets whose class only a capital or an address tells, and vectors of the words."""
    random = np.random.default_rng(0)
    with (tmp_path / "tickets.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "subject", "text"])
        for number in range(150):
            said = [str(word) for word in random.choice(WORDS, random.integers(3, 8))]
            said[1], label = [("Printer", "hardware, old"), (f"me{number}@example.com", "Ä"), ("mail", "")][number % 3]
            rows.writerow([label or "other", f"number {number}", "\n".join(said)])
    for name, drawn in (("vectors.txt", WORDS), ("more.txt", ["mail", "extra"])):
        lines = [f"{word} {' '.join(f'{value:.3f}' for value in random.normal(size=DIM))}" for word in drawn]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path


def run(data: Path, *options: str, vectors: tuple[str, ...] = ("vectors.txt",)) -> Path:
    files = [str(data / name) for name in vectors]
    arguments = ["--data", str(data / "tickets.csv"), "--vectors", *files, "--output", str(data / "tickets.model")]
    assert train.main([*arguments, "--epochs", "12", "--quiet", *options]) == 0
    return data / "tickets.model"


def test_the_default_learns_from_case_and_addresses_and_evaluates_to_what_it_printed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = data / "new.csv"
    new.write_text('text,label\nin Printer of a,"hardware, old"\nin you@example.org of a,Ä\nin mail of a,other\n')
    model = run(data, "--test", str(new))
    dev, test = (line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy "))
    assert float(dev.split()[1]) > 0.9
    arguments = ["--model", str(model), "--vectors", str(data / "tickets.vectors.txt"), "--quiet"]
    assert evaluate.main([*arguments, "--data", str(new)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == test
    config = predict.load(model).config
    assert config["labels"] == ["hardware, old", "other", "Ä"]
    assert config["mode"] == "non-static"
    assert config["tokenizer"] == {"case_marks": True, "placeholders": True}


def test_the_exported_vectors_hold_what_the_model_wants_and_the_rest_of_the_file(data: Path) -> None:
    model = predict.load(run(data))
    exported = dict(read_vectors(data / "tickets.vectors.txt"))
    assert {"<cap>", "<email>", *WORDS} <= set(exported)
    assert model.check is not None
    words = Tokenizer.from_config(model.config)(model.check["request"]["input"])
    logits = model.logits(predict.batches(model, [words], exported))
    np.testing.assert_allclose(logits, model.check["logits"], atol=1e-4)


@pytest.mark.parametrize("mode", ["static", "non-static"])
def test_two_sets_of_vectors_go_side_by_side(data: Path, mode: str) -> None:
    model = predict.load(run(data, "--mode", mode, vectors=("vectors.txt", "more.txt")))
    assert model.vector_length == 2 * DIM
    given, more = (dict(read_vectors(data / name)) for name in ("vectors.txt", "more.txt"))
    exported = dict(read_vectors(data / "tickets.vectors.txt"))
    np.testing.assert_array_equal(exported["extra"], [*np.zeros(DIM), *more["extra"]])
    if mode == "static":
        np.testing.assert_array_equal(exported["the"], [*given["the"], *np.zeros(DIM)])
        np.testing.assert_array_equal(exported["mail"], [*given["mail"], *more["mail"]])


def test_static_vectors_are_served_as_they_are_without_marks_that_they_lack(data: Path) -> None:
    config = predict.load(run(data, "--mode", "static")).config
    assert config["tokenizer"] == {"case_marks": False, "placeholders": False}
    assert not (data / "tickets.vectors.txt").exists()


def test_a_test_set_changes_nothing_of_the_model(data: Path) -> None:
    first = run(data, "--epochs", "1").read_bytes()
    (data / "test.jsonl").write_text(json.dumps({"text": "extra", "label": "other"}))
    assert run(data, "--epochs", "1", "--test", str(data / "test.jsonl")).read_bytes() == first


def test_the_columns_the_longest_text_and_the_score_are_chosen(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["--text-column", "subject", "--text-column", "text"]
    options = ["--max-words", "3", "--metric", "macro-f1", "--class-weights", "balanced", "--epochs", "1"]
    model = run(data, *columns, *options)
    assert predict.load(model).config["max_words"] == 3
    captured = capsys.readouterr()
    assert "135 of 135 texts cut to 3 words" in captured.err
    arguments = ["--model", str(model), "--vectors", str(data / "tickets.vectors.txt"), "--quiet"]
    assert evaluate.main([*arguments, *columns, "--data", str(data / "tickets.csv")]) == 0
    assert "150 of 150 texts cut to 3 words" in capsys.readouterr().err


def test_labels_of_an_evaluation_are_matched_by_name(data: Path) -> None:
    model = run(data, "--epochs", "1")
    (data / "other.jsonl").write_text('{"text": "the mail", "label": "spam"}\n')
    with pytest.raises(CommandError, match=r"other\.jsonl, line 1: label 'spam' is none of the model's"):
        evaluate.main(
            ["--model", str(model), "--vectors", str(data / "vectors.txt"), "--data", str(data / "other.jsonl")]
        )


def test_dev_and_test_files_do_not_go_with_a_data_set(data: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        train.main(["--data", str(data), "--vectors", "v", "--dev", "d"])
    assert stopped.value.code == 2
