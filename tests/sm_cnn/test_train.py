"""Training an SM-CNN on questions and answers of one's own: from a file to what evaluation measures."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sm_cnn.evaluate
import sm_cnn.train
from sm_cnn import predict
from toolkit.cli import CommandError
from toolkit.vectors.file import read_vectors

TOPICS = "glacier cave paris river engine violin comet bridge".split()
FILLER = "the is of a in".split()
DIM = 8


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with `qa.csv` and `test.csv`, whose relevant answers repeat the question's topic, and vectors."""
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    for name, size in (("qa.csv", 100), ("test.csv", 20)):
        lines = ["question,answer,label"]
        for number in range(size):
            topic = random.choice(TOPICS)
            for candidate in range(4):
                about = topic if candidate == 1 else random.choice([word for word in TOPICS if word != topic])
                words = [*random.choice(FILLER, random.integers(2, 8)), about]
                lines.append(f'"What, in {name} {number}, is a {topic}?","{" ".join(words)}.",{int(candidate == 1)}')
        (tmp_path / name).write_text("\n".join(lines))
    with (tmp_path / "vectors.txt").open("w") as file:
        for word in [*TOPICS, *FILLER, "what", "?", ".", ","]:
            file.write(f"{word} {' '.join(f'{value:.3f}' for value in random.normal(size=DIM))}\n")
    return tmp_path


def train(data: Path, *options: str, output: str = "qa.model") -> Path:
    arguments = ["--data", str(data / "qa.csv"), "--vectors", str(data / "vectors.txt"), "--quiet", "--epochs", "3"]
    assert sm_cnn.train.main([*arguments, "--output", str(data / output), *options]) == 0
    return data / output


def test_training_ends_with_what_evaluation_measures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = train(data, "--test", str(data / "test.csv"))
    printed = capsys.readouterr()
    assert "90 questions to train on, 10 of dev, 20 of test" in printed.err
    lines = printed.out.splitlines()
    assert "dev, 10 questions" in lines and "test, 20 questions" in lines
    arguments = ["--model", str(model), "--data", str(data / "test.csv"), "--vectors", str(data / "vectors.txt")]
    sm_cnn.evaluate.main([*arguments, "--quiet"])
    measured = capsys.readouterr().out.splitlines()[-1]
    assert measured == lines[-1]
    fields = measured.split()
    assert fields[::2] == ["MAP", "MRR", "P@1"]
    assert float(fields[1]) > 0.9
    assert predict.load(model).config["max_words"] == sm_cnn.train.MAX_WORDS


def test_the_same_seed_gives_the_same_file_and_another_seed_another(data: Path) -> None:
    first = train(data).read_bytes()
    assert train(data).read_bytes() == first
    assert train(data, "--seed", "2").read_bytes() != first


def test_trained_vectors_are_written_beside_the_model(data: Path) -> None:
    train(data, "--mode", "non-static", "--no-features", "--dev", str(data / "test.csv"))
    assert {*TOPICS, *FILLER} <= {word for word, _ in read_vectors(data / "qa.vectors.txt")}


def test_two_sets_of_vectors_go_side_by_side(data: Path) -> None:
    vectors = str(data / "vectors.txt")
    model = predict.load(train(data, "--vectors", vectors, vectors))
    assert model.vector_length == 2 * DIM
    vector = dict(read_vectors(data / "qa.vectors.txt"))["glacier"]
    np.testing.assert_array_equal(vector[:DIM], vector[DIM:])


@pytest.mark.parametrize("option", ["--dev", "--test"])
def test_a_folder_takes_no_files_beside_it(data: Path, option: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        sm_cnn.train.main(["--data", str(data), "--vectors", "v", option, str(data / "test.csv")])
    assert stopped.value.code == 2


def test_the_columns_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renamed = data / "renamed.csv"
    renamed.write_text((data / "qa.csv").read_text().replace("question,answer,label", "title,body,good"))
    columns = ["--question-column", "title", "--answer-column", "body", "--label-column", "good"]
    model = train(data)
    expected = model.read_bytes()
    assert train(data, "--data", str(renamed), *columns, "--test", str(renamed)).read_bytes() == expected
    arguments = ["--model", str(model), "--data", str(renamed), "--vectors", str(data / "vectors.txt"), "--quiet"]
    capsys.readouterr()
    assert sm_cnn.evaluate.main([*arguments, *columns]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("MAP ")
    with pytest.raises(CommandError, match="no column 'question'"):
        sm_cnn.evaluate.main(arguments)
