"""Models trained elsewhere: the examples of docs/own-model.md, run as they are printed, and served."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.gateway import Handler
from inference.item_format import encode_vector
from inference.model_file import ModelFileError
from inference.service import Service
from inference.settings import Settings
from inference.word_vectors import WordVectors, embed
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, answering, post
from toolkit.vectors.file import load_vectors

OWN, AVERAGE = re.findall(r"```python\n(.*?)```", (ROOT / "docs/own-model.md").read_text(), re.DOTALL)
WORDS = "a very good bad movie warm and witty film tedious mess".split()


@pytest.fixture(scope="module")
def glove() -> dict[str, np.ndarray]:
    return load_vectors(ROOT / "data/glove.6B.50d.sample.txt.gz", set(WORDS))


def run(code: str, folder: Path) -> None:
    """Run an example in a folder that has what the root of the project has."""
    (folder / "data").symlink_to(ROOT / "data")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)


def serve(path: Path, glove: dict[str, np.ndarray]) -> tuple[Service, Handler]:
    client: Any = FakeDynamoDB(lambda word: encode_vector(glove[word]) if word in glove else None)
    model = KIM.load(path)
    vectors = WordVectors(lambda: client, "words", model.vector_length, 100)
    service = Service(KIM, model, vectors, Settings())
    return service, answering(service, about=service.about())


def test_weights_trained_elsewhere_are_served(tmp_path: Path, glove: dict[str, np.ndarray]) -> None:
    run(OWN, tmp_path)
    service, handler = serve(tmp_path / "own.model", glove)
    assert service.about()["title"] == "Films"
    for fields, label in zip(service.about()["samples"], ["good", "good", "bad", "bad"], strict=True):
        assert post(handler, **fields)[1]["label"] == label
    assert service.model.check is not None
    outcome = service.run(service.model.check["request"], float("inf"))
    np.testing.assert_allclose(outcome.logits, service.model.check["logits"], atol=1e-3)


def test_another_network_is_served_as_onnx(tmp_path: Path, glove: dict[str, np.ndarray]) -> None:
    run(AVERAGE, tmp_path)
    _, handler = serve(tmp_path / "average.onnx", glove)
    _, answer = post(handler, input=["a very good movie", "a zorblax"])
    weight = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    words, lengths = embed([["a", "very", "good", "movie"], ["a", "zorblax"]], glove, 50)
    np.testing.assert_allclose(answer["output"], words.sum(1) / lengths[:, None] @ weight, atol=1e-4)
    assert list(answer["probabilities"][0]) == ["billing", "login", "shipping"]
    assert answer["unknown_words"] == ["zorblax"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            '"labels": ["billing", "login", "shipping"]',
            '"labels": ["a", "b"]',
            r"gives logits of the shape \(1, 3\)",
        ),
        ('"dim": 50, ', '"dim": 40, ', "does not take words and lengths"),
        ('"dim": 50, ', "", "its config does not have the numbers channels and dim"),
        ('"dim": 50, ', '"dim": 0, ', "its config does not have the numbers channels and dim"),
        ('"lengths"', '"sizes"', "does not take words and lengths"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused_by_name(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    run(AVERAGE.replace(right, wrong), tmp_path)
    with pytest.raises(ModelFileError, match=rf"average\.onnx: .*{message}"):
        KIM.load(tmp_path / "average.onnx")
