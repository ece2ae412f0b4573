"""Training a Kim CNN: a file that is reproducible, evaluates as it was measured, and serves every mode alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.model_file import Model
from kim_cnn import evaluate, predict, train
from toolkit.training.options import MODES
from toolkit.vectors.file import read_vectors

GOOD, BAD, FILLER = ["fine", "great", "lovely"], ["awful", "poor", "dull"], ["film", "the", "plot", "is"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """SST-2 files in which a word decides the class, and vectors of most of their words."""
    random = np.random.default_rng(0)
    for split, size in (("phrases.train", 150), ("train", 60), ("dev", 40)):
        with (tmp_path / f"stsa.binary.{split}.tsv").open("w") as lines:
            for label in random.integers(0, 2, size):
                words = [*random.choice(FILLER, random.integers(1, 6)), random.choice(GOOD if label else BAD)]
                lines.write(f"{label}\t{' '.join(words)}\n")
    with (tmp_path / "vectors.txt").open("w") as lines:
        for word in [*GOOD, *BAD, *FILLER[:3], "never-in-training"]:
            lines.write(f"{word} {' '.join(f'{value:.3f}' for value in random.normal(size=10))}\n")
    return tmp_path


def run(data: Path, *options: str, mode: str = "static", output: str = "kim.model", seed: int = 1) -> Path:
    path = data / output
    arguments = [
        "--data",
        str(data),
        "--dataset",
        "sst-2",
        "--mode",
        mode,
        "--epochs",
        "12" if mode == "rand" else "2",
        "--quiet",
    ]
    arguments += ["--dim", "10"] if mode == "rand" else ["--vectors", str(data / "vectors.txt")]
    if mode != "static":
        arguments += ["--export-vectors", str(data / "exported.txt")]
    assert train.main([*arguments, "--seed", str(seed), "--output", str(path), *options]) == 0
    return path


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_learns_and_evaluates_to_what_training_printed(
    mode: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = run(data, mode=mode)
    measured = capsys.readouterr().out.splitlines()[-1]
    vectors = data / ("vectors.txt" if mode == "static" else "exported.txt")
    evaluate.main(
        ["--model", str(model), "--data", str(data / "stsa.binary.dev.tsv"), "--vectors", str(vectors), "--quiet"]
    )
    assert capsys.readouterr().out.splitlines()[-1] == measured
    name, accuracy = measured.split()
    assert name == "accuracy"
    assert float(accuracy) > 0.8  # chance is 0.5
    loaded = predict.load(model)
    assert loaded.config["labels"] == ["negative", "positive"]
    assert loaded.config["channels"] == (2 if mode == "multichannel" else 1)


def test_exported_vectors_hold_both_channels_of_every_word_that_can_be_asked_for(data: Path) -> None:
    run(data, mode="multichannel")
    given, exported = (dict(read_vectors(data / name)) for name in ("vectors.txt", "exported.txt"))
    assert set(exported) == {*given, "is"}  # `is` has no vector, but is trained
    np.testing.assert_array_equal(exported["never-in-training"], np.tile(given["never-in-training"], 2))
    np.testing.assert_array_equal(exported["great"][:10], given["great"])
    assert not np.array_equal(exported["great"][10:], given["great"])


@pytest.mark.parametrize("mode", ["static", "non-static"])
def test_the_same_seed_gives_the_same_file_and_another_seed_another(mode: str, data: Path) -> None:
    first = run(data, mode=mode).read_bytes()
    exported = (data / "exported.txt").read_bytes() if mode != "static" else b""
    assert run(data, mode=mode, output="again.model").read_bytes() == first
    assert ((data / "exported.txt").read_bytes() if mode != "static" else b"") == exported
    assert run(data, mode=mode, output="other.model", seed=2).read_bytes() != first


def test_ctrl_c_keeps_the_best_epoch_so_far(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = iter([0.7, 0.9, 0.8])
    states = []

    def score(*_: object) -> float:
        try:
            value = next(scores)
        except StopIteration:
            raise KeyboardInterrupt from None
        return value

    predictions = train.predictions

    def remember(model: Model, *rest: object) -> np.ndarray:
        states.append(predictions(model, *rest))
        return states[-1]

    monkeypatch.setattr(train, "predictions", remember)
    monkeypatch.setattr(train, "accuracy", lambda *_: score() if len(states) < 5 else 0.123)
    path = data / "kim.model"
    arguments = ["--data", str(data), "--dataset", "sst-2", "--vectors", str(data / "vectors.txt"), "--quiet"]
    assert train.main([*arguments, "--epochs", "9", "--output", str(path)]) == 130
    dev = evaluate.read_sentences(data / "stsa.binary.dev.tsv", 2)
    model = predict.load(path)
    vectors = dict(read_vectors(data / "vectors.txt"))
    np.testing.assert_array_equal(predictions(model, dev, vectors), states[1])


def test_ctrl_c_before_the_first_score_leaves_an_earlier_model_alone(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = run(data).read_bytes()

    def interrupt(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "accuracy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(data, seed=2)
    assert (data / "kim.model").read_bytes() == earlier


@pytest.mark.parametrize(
    "options",
    [
        ["--mode", "rand", "--export-vectors", "e", "--dim", "0"],
        ["--mode", "rand", "--vectors", "v", "--export-vectors", "e"],
        ["--mode", "non-static", "--vectors", "v"],
        ["--mode", "static", "--vectors", "v", "--export-vectors", "e"],
        ["--mode", "static"],
        ["--vectors", "v", "--output", "/nowhere/kim.model"],
        ["--vectors", "v", "--epochs", "0"],
    ],
)
def test_options_that_do_not_fit_together_are_bad_usage(options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        train.main(["--data", "d", *options])
    assert stopped.value.code == 2


def test_training_leaves_nothing_behind_but_its_files(data: Path) -> None:
    before = set(data.iterdir())
    run(data, mode="non-static")
    assert set(data.iterdir()) - before == {data / "kim.model", data / "exported.txt"}
    assert torch.load(data / "kim.model", weights_only=True)["config"]["mode"] == "non-static"
