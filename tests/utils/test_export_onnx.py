"""ONNX models: what is exported answers as PyTorch does, knows its config, and a wrong file is refused by name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import kim_cnn.predict
import sm_cnn.predict
from architectures import PREDICT
from inference import model_file
from inference.model_file import Inputs, Model, ModelFileError
from inference.service import Predict
from inference.settings import Settings
from inference.tokenizer import tokenize
from kim_cnn.dataset import read_sst, to_sentences
from sm_cnn.dataset import read_questions
from sm_cnn.evaluate import scores
from sm_cnn.overlap import FEATURES
from tests.conftest import ROOT
from toolkit.training.model_writer import write_model
from toolkit.vectors.file import load_vectors
from utils.export_onnx import export

KIM = {"dim": 6, "channels": 1, "filters": 5, "dropout": 0.5, "labels": ["bad", "good"]}
SM = {"dim": 6, "channels": 1, "filters": 5, "width": 5, "features": True, "dropout": 0.5}
OVERLAP = {"documents": 3, "document_frequency": "ice 2", "stop_words": "a the", "mean": [0.1] * 4, "scale": [1.0] * 4}
ALL_FEATURES = {
    **OVERLAP,
    "mean": [0.1] * FEATURES,
    "scale": [1.0] * FEATURES,
    "year_words": "when",
    "amount_words": "many",
    "numerals": "two",
}

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's, of itself


def pair(folder: Path, architecture: str, source: Path) -> tuple[Model, Model]:
    """Return the model as PyTorch and as ONNX Runtime run it."""
    exported = folder / f"{architecture}.onnx"
    exported.write_bytes(export(source, architecture).SerializeToString())
    return PREDICT[architecture].load(source), PREDICT[architecture].load(exported)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed Kim CNN, exported once: that takes seconds."""
    folder = tmp_path_factory.mktemp("committed")
    pair(folder, "kim_cnn", ROOT / "kim_cnn.model")
    return folder / "kim_cnn.onnx"


def sentences(random: np.random.Generator, count: int, time: int, length: int, words: str, lengths: str) -> Inputs:
    """Return `count` sentences of up to `time` words under the names of an input and of its lengths."""
    times = random.integers(1, time + 1, count)
    times[0] = time
    vectors = random.normal(size=(count, time, length)).astype(np.float32)
    vectors[np.arange(time) >= times[:, None]] = 0
    return {words: vectors, lengths: times}


@pytest.mark.parametrize(
    ("architecture", "config", "overlap"),
    [
        ("kim_cnn", KIM, None),
        ("kim_cnn", {**KIM, "channels": 2}, None),
        ("sm_cnn", SM, OVERLAP),
        ("sm_cnn", {**SM, "features": FEATURES}, ALL_FEATURES),
        ("sm_cnn", {**SM, "features": False}, None),
    ],
)
def test_it_answers_as_pytorch_does(
    tmp_path: Path, architecture: str, config: dict[str, Any], overlap: dict[str, Any] | None
) -> None:
    source = tmp_path / "m.model"
    weights = PREDICT[architecture].build(config).state_dict()
    card = {"title": "t", "description": "d", "samples": [{"input": "é"}]}
    write_model(source, architecture, config, weights, overlap, {"request": {}, "logits": []}, card)
    torch_model, onnx_model = pair(tmp_path, architecture, source)
    assert (onnx_model.config, onnx_model.overlap) == (config, overlap)
    assert (onnx_model.check, onnx_model.card) == ({"request": {}, "logits": []}, card)
    random = np.random.default_rng(0)
    for count in (1, 2, 128):
        for time in (1, 2, 30, 256):
            if architecture == "kim_cnn":
                inputs = sentences(random, count, time, onnx_model.vector_length, "words", "lengths")
            else:
                asked = int(random.integers(1, 20))
                inputs = sentences(random, 1, asked, onnx_model.vector_length, "question", "question_lengths")
                inputs |= sentences(random, count, time, onnx_model.vector_length, "answer", "answer_lengths")
            if overlap:
                inputs["features"] = random.normal(size=(count, len(overlap["mean"]))).astype(np.float32)
            np.testing.assert_allclose(onnx_model.forward(inputs), torch_model.forward(inputs), atol=1e-4, rtol=0)
    check_explanations(PREDICT[architecture], torch_model, onnx_model)


def check_explanations(predict: Predict, *models: Model) -> None:
    """Check that models explain alike, texts of one word and unknown words too."""
    texts = ["the ice is new", "ice", "zorblax ice"]
    random = np.random.default_rng(1)
    vectors = {word: random.normal(size=models[0].vector_length).astype(np.float32) for word in texts[0].split()}
    fields = {"input": texts, "sent1": "the ice", "sent2": texts, "explain": True}
    request = predict.read(fields, tokenize, Settings())
    found = []
    for model in models:
        logits = model.logits(predict.batches(model, request.sentences, vectors))
        found.append(predict.explain(model, request, vectors, logits)["influence"])
    for one, other in zip(*map(numbers, found), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert any(numbers(found))


def numbers(value: Any) -> list[float]:
    """Return the numbers of nested lists and dicts."""
    if isinstance(value, float):
        return [value]
    return [each for part in (value.values() if isinstance(value, dict) else value) for each in numbers(part)]


def test_serving_it_does_not_import_torch(committed: Path) -> None:
    code = "import sys, kim_handler; print('onnxruntime' in sys.modules, 'torch' in sys.modules)"
    environment = {**os.environ, "MODEL_PATH": str(committed), "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, check=True, text=True, capture_output=True)
    assert result.stdout == "True False\n"


def test_a_wrong_file_is_refused_by_name(tmp_path: Path, committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelFileError, match=r"/bad\.onnx: not a model file \(InvalidProtobuf: ."):
        kim_cnn.predict.load(tmp_path / "bad.onnx")
    with pytest.raises(ModelFileError, match=r"none\.onnx: no such file"):
        kim_cnn.predict.load(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match=r"kim_cnn\.onnx: holds a kim_cnn, not a sm_cnn"):
        sm_cnn.predict.load(committed)
    with monkeypatch.context() as bound, pytest.raises(ModelFileError, match=r"kim_cnn\.onnx: .*over 1,000 bytes"):
        bound.setattr(model_file, "LARGEST", 1000)
        kim_cnn.predict.load(committed)
    graph = onnx.load(committed)
    onnx.helper.set_model_props(graph, {"architecture": '"kim_cnn"'})
    onnx.save(graph, tmp_path / "bare.onnx")
    with pytest.raises(ModelFileError, match=r"bare\.onnx: has no config in its metadata"):
        kim_cnn.predict.load(tmp_path / "bare.onnx")


@pytest.fixture(scope="module")
def data() -> Path:
    """The folder of data sets."""
    folder = os.environ.get("SERVERLESS_INFERENCE_DATA")
    if not folder:
        pytest.skip("SERVERLESS_INFERENCE_DATA does not name the folder of data sets")
    return Path(folder)


def test_every_dev_sentence_gets_the_same_class(committed: Path, data: Path) -> None:
    torch_model, onnx_model = (kim_cnn.predict.load(path) for path in (ROOT / "kim_cnn.model", committed))
    rows = read_sst(next((data / "sst").glob("*fine*dev*")))
    dev = to_sentences(rows, torch_model.config["labels"], tokenize)
    vectors = load_vectors(data / "vectors/glove.6B.50d.subset.bin.gz", {word for row in dev for word in row.words})
    words = [sentence.words for sentence in dev]
    batches = list(kim_cnn.predict.batches(torch_model, words, vectors))
    expected, logits = torch_model.logits(batches), onnx_model.logits(batches)
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
