"""ONNX models: what is exported answers as PyTorch does, knows its config, and a wrong file is refused by name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference import model_file
from inference.model_file import Model, ModelFileError
from inference.word_vectors import embed
from kim_cnn.dataset import read_sentences
from sm_cnn.dataset import read_questions
from sm_cnn.evaluate import scores
from tests.conftest import ROOT
from toolkit.vectors.file import load_vectors
from utils.export_onnx import export

KIM = {"dim": 6, "channels": 1, "filters": 5, "dropout": 0.5, "labels": ["bad", "good"]}
SM = {"dim": 6, "channels": 1, "filters": 5, "width": 5, "features": True, "dropout": 0.5}
OVERLAP = {"documents": 3, "document_frequency": "ice 2", "stop_words": "a the", "mean": [0.1] * 4, "scale": [1.0] * 4}

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's, of itself


def pair(folder: Path, architecture: str, source: Path) -> tuple[Model, Model]:
    """Return the model as PyTorch and as ONNX Runtime run it."""
    exported = folder / f"{architecture}.onnx"
    exported.write_bytes(export(source, architecture).SerializeToString())
    return model_file.load(source, architecture), model_file.load(exported, architecture)


def sentences(random: np.random.Generator, count: int, time: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    lengths = random.integers(1, time + 1, count)
    lengths[0] = time
    words = random.normal(size=(count, time, length)).astype(np.float32)
    words[np.arange(time) >= lengths[:, None]] = 0
    return words, lengths


@pytest.mark.parametrize(
    ("architecture", "config", "overlap"),
    [
        ("kim_cnn", KIM, None),
        ("kim_cnn", {**KIM, "channels": 2}, None),
        ("sm_cnn", SM, OVERLAP),
        ("sm_cnn", {**SM, "features": False}, None),
    ],
)
def test_it_answers_as_pytorch_does(
    tmp_path: Path, architecture: str, config: dict[str, Any], overlap: dict[str, Any] | None
) -> None:
    source = tmp_path / "m.model"
    model_file.save(source, architecture, config, model_file.build(architecture, config).state_dict(), overlap)
    torch_model, onnx_model = pair(tmp_path, architecture, source)
    assert (onnx_model.config, onnx_model.overlap) == (config, overlap)
    random = np.random.default_rng(0)
    for count in (1, 2, 128):
        for time in (1, 2, 30, 256):
            arrays = sentences(random, count, time, onnx_model.vector_length)
            if architecture == "sm_cnn":
                arrays = (*sentences(random, 1, int(random.integers(1, 20)), onnx_model.vector_length), *arrays)
                if overlap:
                    arrays = (*arrays, random.normal(size=(count, 4)).astype(np.float32))
            np.testing.assert_allclose(onnx_model.forward(*arrays), torch_model.forward(*arrays), atol=1e-4, rtol=0)


def test_serving_it_does_not_import_torch(tmp_path: Path) -> None:
    pair(tmp_path, "kim_cnn", ROOT / "kim_cnn.model")
    code = "import sys, kim_handler; print(kim_handler.MODEL.config['labels'][0], 'torch' in sys.modules)"
    environment = {**os.environ, "MODEL_PATH": str(tmp_path / "kim_cnn.onnx"), "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=True, text=True, capture_output=True)
    assert result.stdout == "very negative False\n"


def test_the_model_file_beside_the_handlers_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_file, "__file__", str(tmp_path / "inference/model_file.py"))
    monkeypatch.delenv("MODEL_PATH", raising=False)
    assert model_file.find("sm_cnn") == tmp_path / "sm_cnn.model"
    (tmp_path / "sm_cnn.onnx").touch()
    assert model_file.find("sm_cnn") == tmp_path / "sm_cnn.onnx"
    (tmp_path / "sm_cnn.model").touch()
    assert model_file.find("sm_cnn") == tmp_path / "sm_cnn.model"
    monkeypatch.setenv("MODEL_PATH", "/elsewhere/m.onnx")
    assert model_file.find("sm_cnn") == Path("/elsewhere/m.onnx")


def test_a_wrong_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelFileError, match=r"bad\.onnx: not a model file"):
        model_file.load(tmp_path / "bad.onnx", "kim_cnn")
    with pytest.raises(ModelFileError, match=r"none\.onnx: no such file"):
        model_file.load(tmp_path / "none.onnx", "kim_cnn")
    pair(tmp_path, "kim_cnn", ROOT / "kim_cnn.model")
    with pytest.raises(ModelFileError, match="holds a kim_cnn, not a sm_cnn"):
        model_file.load(tmp_path / "kim_cnn.onnx", "sm_cnn")


@pytest.fixture(scope="module")
def data() -> Path:
    """The folder of data sets."""
    folder = os.environ.get("SERVERLESS_INFERENCE_DATA")
    if not folder:
        pytest.skip("SERVERLESS_INFERENCE_DATA does not name the folder of data sets")
    return Path(folder)


def test_every_dev_sentence_gets_the_same_class(tmp_path: Path, data: Path) -> None:
    torch_model, onnx_model = pair(tmp_path, "kim_cnn", ROOT / "kim_cnn.model")
    dev = read_sentences(next((data / "sst").glob("*fine*dev*")), len(torch_model.config["labels"]))
    vectors = load_vectors(data / "vectors/glove.6B.50d.subset.bin.gz", {word for row in dev for word in row.words})
    for start in range(0, len(dev), 64):
        words = [sentence.words for sentence in dev[start : start + 64]]
        arrays = embed(words, vectors, torch_model.vector_length)
        expected, logits = torch_model.forward(*arrays), onnx_model.forward(*arrays)
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)
        np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("split", ["trecqa/raw-dev", "wikiqa/dev"])
def test_every_dev_question_gets_the_same_ranking(tmp_path: Path, data: Path, split: str) -> None:
    torch_model, onnx_model = pair(tmp_path, "sm_cnn", ROOT / "sm_cnn.model")
    questions = read_questions(data / split)
    words = {word for question in questions for row in (question.words, *question.answers) for word in row}
    vectors = load_vectors(data / "vectors/glove.6B.50d.subset.bin.gz", words)
    pairs = zip(scores(onnx_model, questions, vectors), scores(torch_model, questions, vectors), strict=True)
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, atol=1e-4, rtol=0)
        ranking = np.argsort(-got, kind="stable")
        # The same but where PyTorch's own scores are equal up to rounding: the same sentence twice.
        assert (np.diff(expected[ranking]) <= 1e-5).all()
