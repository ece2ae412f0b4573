"""Training an SM-CNN: a file that is reproducible, with or without overlap features, and evaluates as measured."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sm_cnn import evaluate, predict, train
from sm_cnn.model import SMCNN
from toolkit.training.options import MODES
from toolkit.vectors.file import VectorFileError

TOPICS = ["glacier", "cave", "paris", "river", "engine", "violin", "comet", "bridge"]
FILLER = ["the", "is", "of", "a", "in", "was"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """WikiQA's splits in which a relevant answer repeats the question's topic, and vectors of the words."""
    random = np.random.default_rng(0)
    for split, size in (("train", 60), ("dev", 20)):
        rows = []
        for number in range(size):
            topic = random.choice(TOPICS)
            for candidate in range(4):
                about = topic if candidate == 1 else random.choice([word for word in TOPICS if word != topic])
                words = [*random.choice(FILLER, random.integers(2, 8)), about, "."]
                rows.append((f"{split}{number}", f"what is a {topic} ?", " ".join(words), str(int(candidate == 1))))
        (tmp_path / split).mkdir()
        for name, column in zip(("id.txt", "a.toks", "b.toks", "sim.txt"), zip(*rows, strict=True), strict=True):
            (tmp_path / split / name).write_text("".join(f"{field}\n" for field in column))
    with (tmp_path / "vectors.txt").open("w") as lines:
        for word in [*TOPICS, *FILLER[:4], "what"]:
            lines.write(f"{word} {' '.join(f'{value:.3f}' for value in random.normal(size=8))}\n")
    return tmp_path


def run(data: Path, *options: str, mode: str = "static", output: str = "sm.model") -> Path:
    path = data / output
    arguments = ["--data", str(data), "--dataset", "wikiqa", "--mode", mode, "--epochs", "4", "--quiet"]
    arguments += ["--dim", "8"] if mode == "rand" else ["--vectors", str(data / "vectors.txt")]
    if mode != "static":
        arguments += ["--export-vectors", str(data / "exported.txt")]
    assert train.main([*arguments, "--output", str(path), *options]) == 0
    return path


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_learns_and_evaluates_to_what_training_printed(
    mode: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run(data, mode=mode)
    measured = capsys.readouterr().out.splitlines()[-1]
    vectors = data / ("vectors.txt" if mode == "static" else "exported.txt")
    evaluate.main(["--model", str(model), "--data", str(data / "dev"), "--vectors", str(vectors)])
    assert capsys.readouterr().out.splitlines()[-1] == measured
    name, average, also, reciprocal = measured.split()
    assert (name, also) == ("MAP", "MRR")
    assert average == reciprocal  # one relevant answer a question
    assert float(average) > 0.9  # a random order has 0.52


def test_without_features_nothing_of_them_is_in_the_model(data: Path) -> None:
    model = predict.load(run(data, "--no-features"))
    assert model.overlap is None
    assert model.config["features"] is False


@pytest.mark.parametrize("variance", [0.01, 1.0])
def test_without_features_training_begins_with_how_much_of_the_question_is_repeated(variance: float) -> None:
    torch.manual_seed(0)
    dim, words = 50, 8
    network = SMCNN(dim, features=False).eval()
    train.begin_with_containment(network, variance)
    question, other = variance**0.5 * torch.randn(2, 1, words, dim)
    answers = [
        torch.cat([question[:, :kept], other[:, kept:]], 1)[:, torch.randperm(words)] for kept in range(words + 1)
    ]
    with torch.no_grad():
        logits = network(question, None, torch.cat(answers), None)
    scores = logits[:, 1] - logits[:, 0]
    assert torch.corrcoef(torch.stack([scores, torch.arange(words + 1.0)]))[0, 1] > 0.6
    assert scores.argmax() == words


def test_the_same_seed_gives_the_same_file_and_another_seed_another(data: Path) -> None:
    first = run(data).read_bytes()
    assert run(data, output="again.model").read_bytes() == first
    assert run(data, "--seed", "2", output="other.model").read_bytes() != first


def test_vectors_of_another_length_than_the_models_are_refused(data: Path) -> None:
    model = run(data, mode="multichannel")
    with pytest.raises(VectorFileError, match="8 numbers, but the model was trained on 16"):
        evaluate.main(["--model", str(model), "--data", str(data / "dev"), "--vectors", str(data / "vectors.txt")])
