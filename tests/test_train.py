"""Training either model: reproducible files, which evaluate and serve as training measured, in every mode."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import kim_cnn.evaluate
import kim_cnn.predict
import kim_cnn.train
import sm_cnn.evaluate
import sm_cnn.predict
import sm_cnn.train
from inference.settings import Settings
from inference.tokenizer import tokenize
from tests.conftest import ROOT
from toolkit.training.options import MODES
from toolkit.vectors.file import VectorFileError, read_vectors

pytestmark = pytest.mark.usefixtures("one_thread")

TOPICS = "glacier cave paris river engine violin comet bridge".split()
GOOD, BAD = "fine great lovely".split(), "awful poor dull".split()
FILLER, UNKNOWN = "the is of a in".split(), "was"
ANY = [*FILLER, UNKNOWN]
DIM = 8


@dataclass(frozen=True)
class Case:
    """A model with data that it learns in a few epochs, and files of the names its train.py reads."""

    train: ModuleType
    evaluate: ModuleType
    predict: ModuleType
    write_data: Callable[[Path, np.random.Generator], None]
    dataset: str
    dev: str
    chance: float  # the score of a random order, or class
    rand_epochs: int  # that mode rand takes to learn

    def arguments(self, data: Path, *options: str, mode: str = "static", output: str = "a.model") -> list[str]:
        """Return the command line of a training in `data`."""
        arguments = ["--data", str(data), "--dataset", self.dataset, "--mode", mode, "--quiet"]
        arguments += ["--epochs", str(self.rand_epochs) if mode == "rand" else "4", "--output", str(data / output)]
        arguments += ["--dim", str(DIM)] if mode == "rand" else ["--vectors", str(data / "vectors.txt")]
        if mode != "static":
            arguments += ["--export-vectors", str(data / "exported.txt")]
        return [*arguments, *options]

    def run(self, data: Path, *options: str, mode: str = "static", output: str = "a.model") -> Path:
        """Train, and return the model file."""
        assert self.train.main(self.arguments(data, *options, mode=mode, output=output)) == 0
        return data / output


def write_questions(folder: Path, random: np.random.Generator) -> None:
    """Write WikiQA's splits, in which the relevant answer repeats the question's topic."""
    for split, size in (("train", 60), ("dev", 20)):
        rows = []
        for number in range(size):
            topic = random.choice(TOPICS)
            for candidate in range(4):
                about = topic if candidate == 1 else random.choice([word for word in TOPICS if word != topic])
                words = [*random.choice(ANY, random.integers(2, 8)), about, "."]
                rows.append((f"{split}{number}", f"what is a {topic} ?", " ".join(words), str(int(candidate == 1))))
        (folder / split).mkdir()
        for name, column in zip(("id.txt", "a.toks", "b.toks", "sim.txt"), zip(*rows, strict=True), strict=True):
            (folder / split / name).write_text("".join(f"{field}\n" for field in column))


def write_sentences(folder: Path, random: np.random.Generator) -> None:
    """Write the files of SST-2, in which one word decides the class."""
    for split, size in (("phrases.train", 150), ("train", 60), ("dev", 40)):
        with (folder / f"stsa.binary.{split}.tsv").open("w") as lines:
            for label in random.integers(0, 2, size):
                words = [
                    *random.choice(ANY, random.integers(1, 6)),
                    random.choice(GOOD if label else BAD),
                ]
                lines.write(f"{label}\t{' '.join(words)}\n")


SM = Case(
    sm_cnn.train,
    sm_cnn.evaluate,
    sm_cnn.predict,
    write_questions,
    dataset="wikiqa",
    dev="dev",
    chance=0.52,
    rand_epochs=4,
)
KIM = Case(
    kim_cnn.train,
    kim_cnn.evaluate,
    kim_cnn.predict,
    write_sentences,
    dataset="sst-2",
    dev="stsa.binary.dev.tsv",
    chance=0.5,
    rand_epochs=12,
)


@pytest.fixture(params=[SM, KIM], ids=["sm_cnn", "kim_cnn"])
def case(request: pytest.FixtureRequest) -> Case:
    """Each of the models."""
    found: Case = request.param
    return found


@pytest.fixture
def data(tmp_path: Path, case: Case) -> Path:
    """A folder with the data of the case, and vectors of most of the words."""
    random = np.random.default_rng(0)
    case.write_data(tmp_path, random)
    with (tmp_path / "vectors.txt").open("w") as lines:
        for word in [*TOPICS, *GOOD, *BAD, *FILLER, "what", "?", ".", "never-in-training"]:
            lines.write(f"{word} {' '.join(f'{value:.3f}' for value in random.normal(size=DIM))}\n")
    return tmp_path


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_learns_and_evaluates_to_what_training_printed(
    case: Case, mode: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = case.run(data, mode=mode)
    measured = capsys.readouterr().out.splitlines()[-1]
    vectors = data / ("vectors.txt" if mode == "static" else "exported.txt")
    case.evaluate.main(["--model", str(model), "--data", str(data / case.dev), "--vectors", str(vectors)])
    assert capsys.readouterr().out.splitlines()[-1] == measured
    fields = measured.split()
    assert fields[::2] == (["MAP", "MRR", "P@1"] if case is SM else ["accuracy"])
    assert float(fields[1]) > (1 + case.chance) / 2
    config = case.predict.load(model).config
    assert config["mode"] == mode
    assert config["channels"] == (2 if mode == "multichannel" else 1)


def test_training_and_evaluation_end_with_the_same_report_and_write_it_where_asked(
    case: Case, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = case.run(data, "--report", str(data / "trained"))
    summary = capsys.readouterr().out
    arguments = ["--model", str(model), "--data", str(data / case.dev), "--vectors", str(data / "vectors.txt")]
    arguments += [] if case is SM else ["--trained-on", str(data / "stsa.binary.train.tsv")]
    case.evaluate.main([*arguments, "--quiet", "--report", str(data / "evaluated")])
    evaluated = capsys.readouterr().out
    trained, later = (json.loads((data / name / "report.json").read_text()) for name in ("trained", "evaluated"))
    assert trained["scores"] == later["scores"]
    assert trained["calibration"] == later["calibration"]
    assert trained["tokens_without_vector"] == later["tokens_without_vector"] > 0
    names = [baseline["name"] for baseline in later["baselines"]]
    assert names == [baseline["name"] for baseline in trained["baselines"]]
    assert len(names) == (3 if case is SM else 2)
    for name in names:
        assert name in summary
        assert name in evaluated
        assert name in (data / "evaluated/report.html").read_text()


def test_a_report_does_not_replace_a_page_of_others(case: Case, data: Path) -> None:
    (data / "report.html").write_text("mine")
    for main, arguments in (
        (case.train.main, case.arguments(data)),
        (case.evaluate.main, ["--data", "d", "--endpoint", "https://example.com"]),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--report", str(data)])
        assert stopped.value.code == 2
    assert (data / "report.html").read_text() == "mine"


def test_a_kim_cnn_holds_the_names_of_its_classes_and_an_sm_cnn_its_overlap_data(case: Case, data: Path) -> None:
    model = case.predict.load(case.run(data, "--epochs", "1"))
    assert model.config.get("labels") == (None if case is SM else ["negative", "positive"])
    assert (model.overlap is not None) == (case is SM)


def test_the_model_file_holds_a_request_with_the_logits_that_it_gives(case: Case, data: Path) -> None:
    model = case.predict.load(case.run(data, "--epochs", "1"))
    vectors = dict(read_vectors(data / "vectors.txt"))
    assert model.check is not None
    sentences = case.predict.read(model.check["request"], tokenize, Settings()).sentences
    assert {word for words in sentences for word in words} <= set(vectors)
    logits = model.logits(case.predict.batches(model, sentences, vectors))
    np.testing.assert_allclose(logits, model.check["logits"], atol=1e-4)


@pytest.mark.parametrize("case", [SM], ids=["sm_cnn"])
def test_without_features_nothing_of_them_is_in_the_model(case: Case, data: Path) -> None:
    model = case.predict.load(case.run(data, "--no-features", "--epochs", "1"))
    assert model.overlap is None
    assert model.config["features"] is False


def test_exported_vectors_hold_both_channels_of_every_word_that_can_be_asked_for(case: Case, data: Path) -> None:
    case.run(data, "--epochs", "1", mode="multichannel")
    given, exported = (dict(read_vectors(data / name)) for name in ("vectors.txt", "exported.txt"))
    assert set(exported) == {*given, UNKNOWN}  # which has no vector, but is trained
    np.testing.assert_array_equal(exported["never-in-training"], np.tile(given["never-in-training"], 2))
    np.testing.assert_array_equal(exported["the"][:DIM], given["the"])
    assert not np.array_equal(exported["the"][DIM:], given["the"])


@pytest.mark.parametrize("mode", ["static", "non-static"])
def test_the_same_seed_gives_the_same_files_and_another_seed_others(case: Case, mode: str, data: Path) -> None:
    def files(*options: str) -> list[bytes]:
        model = case.run(data, "--epochs", "2", *options, mode=mode)
        return [path.read_bytes() for path in (model, data / "exported.txt") if path.exists()]

    first = files()
    assert files() == first
    assert files("--seed", "2")[0] != first[0]


def test_vectors_of_another_length_than_the_models_are_refused(case: Case, data: Path) -> None:
    model = case.run(data, "--epochs", "1", mode="multichannel")
    arguments = ["--model", str(model), "--data", str(data / case.dev), "--vectors", str(data / "vectors.txt")]
    with pytest.raises(VectorFileError, match=rf"{DIM}.*trained on {2 * DIM}"):
        case.evaluate.main(arguments)


def test_training_leaves_nothing_behind_but_its_files(case: Case, data: Path) -> None:
    before = set(data.iterdir())
    case.run(data, "--epochs", "1", mode="non-static")
    assert set(data.iterdir()) - before == {data / "a.model", data / "exported.txt"}


def test_ctrl_c_keeps_the_best_so_far(case: Case, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", case.train.__name__, *case.arguments(data, "--epochs", "100000")]
    command.remove("--quiet")  # so that it tells when an epoch is over
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=-1, stderr=-1) as training:
        assert training.stdout is not None
        assert training.stdout.readline().startswith("epoch 1 ")
        training.send_signal(signal.SIGINT)
        out, err = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "the best so far is kept" in err
    assert "Traceback" not in err
    arguments = ["--data", str(data / case.dev), "--vectors", str(data / "vectors.txt")]
    case.evaluate.main(["--model", str(data / "a.model"), *arguments])
    assert capsys.readouterr().out.splitlines()[-1] == out.splitlines()[-1]


def test_ctrl_c_before_the_first_score_leaves_an_earlier_model_alone(
    case: Case, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = case.run(data, "--epochs", "1").read_bytes()

    def interrupt(*_: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(case.train, "dev_score", interrupt)
    with pytest.raises(KeyboardInterrupt):
        case.run(data, "--seed", "2")
    assert (data / "a.model").read_bytes() == earlier


def test_evaluation_shows_progress_on_a_terminal_only(
    case: Case, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = case.run(data, "--epochs", "1")
    arguments = ["--model", str(model), "--data", str(data / case.dev), "--vectors", str(data / "vectors.txt")]
    for terminal, options, shown in ((True, [], True), (True, ["--quiet"], False), (False, [], False)):
        capsys.readouterr()
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        case.evaluate.main([*arguments, *options])
        captured = capsys.readouterr()
        assert ("100%" in captured.err) == shown
        assert "100%" not in captured.out


@pytest.mark.parametrize(
    "options",
    [
        ["--mode", "rand", "--export-vectors", "e", "--dim", "0"],
        ["--mode", "rand", "--vectors", "v", "--export-vectors", "e"],
        ["--mode", "non-static", "--vectors", "v", "--export-vectors", "v"],
        ["--mode", "static", "--vectors", "v", "--export-vectors", "e"],
        ["--mode", "static"],
        ["--vectors", "v", "--output", "/nowhere/a.model"],
        ["--vectors", "v", "--epochs", "0"],
    ],
)
def test_options_that_do_not_fit_together_are_bad_usage(case: Case, options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        case.train.main(["--data", "d", *options])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--model", "m"],
        ["--model", "m", "--vectors", "v", "--endpoint", "u"],
        ["--vectors", "v", "--endpoint", "u"],
    ],
)
def test_evaluation_takes_a_model_with_vectors_or_an_endpoint(case: Case, options: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        case.evaluate.main(["--data", "d", *options])
    assert stopped.value.code == 2
