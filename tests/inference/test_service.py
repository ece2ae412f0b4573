"""A service as it is loaded from its settings, and the function of the API that is made of it."""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snapshot_restore_py

from inference import service
from inference.check import EVENT
from inference.hot_words import FOLDER
from inference.item_format import encode_vector
from inference.settings import Settings
from inference.word_vectors import VectorsError, VectorsUnavailableError, WordVectors
from tests import serving
from tests.conftest import KIM_VECTORS, ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, committed, post
from toolkit.vectors import hot_words
from toolkit.vectors.file import VectorFile, read_vectors


def trained() -> FakeDynamoDB:
    """Return a table of the vectors that the Kim CNN was trained with."""
    vectors = dict(read_vectors(KIM_VECTORS))
    return FakeDynamoDB(lambda word: encode_vector(vectors[word]) if word in vectors else None)


def test_it_is_loaded_as_its_settings_say() -> None:
    path = ROOT / "kim_cnn.model"
    settings = Settings("vectors", path, word_cache_size=7, known_word_seconds=8, unknown_word_seconds=9)
    started = time.perf_counter()
    loaded = service.Service.load(KIM, settings)
    seconds, vectors = time.perf_counter() - started, loaded.vectors
    assert (vectors.table, vectors.length, vectors.hot) == ("vectors", loaded.model.vector_length, None)
    assert (vectors.cache_size, vectors.known_seconds, vectors.unknown_seconds) == (7, 8, 9)
    facts: dict[str, Any] = {}
    no_key = {"input": 3000 * "x"}  # which no table has, and nothing is read
    first, second = (loaded.answer(no_key, time.monotonic(), each) for each in (facts, {}))
    assert facts["model"] == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert seconds >= first["t_load_model"] > second["t_load_model"] == 0
    assert facts["load_seconds"] == pytest.approx(first["t_load_model"], abs=1e-5)


def test_the_hot_words_beside_the_handler_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hot_words.write(tmp_path / FOLDER, *hot_words.choose(VectorFile(KIM_VECTORS), 10, "float32"), KIM_VECTORS)
    monkeypatch.setattr(service, "ROOT", tmp_path)
    monkeypatch.setattr(service, "_read_client", trained)
    health = service.Service.load(KIM, Settings("words", ROOT / "kim_cnn.model")).health(time.monotonic() + 10)
    assert health["hot_words"]["file"] == KIM_VECTORS.name


def test_it_reads_no_longer_than_until_the_deadline() -> None:
    with pytest.raises(VectorsUnavailableError, match="no time left"):
        serving.service(KIM, FakeDynamoDB()).answer(KIM.EXAMPLE, time.monotonic())


@pytest.mark.parametrize(
    ("check", "word"), [(None, "this"), ({"request": {"input": "Movie"}, "logits": []}, "movie")], ids=["none", "one"]
)
def test_its_health_is_that_a_word_of_the_check_or_of_the_example_can_be_read(check: Any, word: str) -> None:
    client = FakeDynamoDB(lambda word: encode_vector(np.zeros(50, np.float32)))
    model = replace(committed(KIM), check=check)
    vectors = WordVectors(lambda: client, "words", model.vector_length, cache_size=100)
    served = service.Service(KIM, model, vectors, Settings())
    served.health(time.monotonic() + 10)
    assert client.reads == [[word]]
    client.attribute_of = lambda word: None
    with pytest.raises(VectorsError, match=f"table words does not have the word '{word}' of the model's check"):
        served.health(time.monotonic() + 10)


def test_a_function_answers_says_what_it_is_and_checks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Any] = []
    monkeypatch.setattr(snapshot_restore_py, "register_before_snapshot", hooks.append)
    monkeypatch.setattr(snapshot_restore_py, "register_after_restore", hooks.append)
    clients = [trained(), trained(), trained()]
    model = committed(KIM)
    vectors = WordVectors(iter(clients).__next__, "words", model.vector_length, cache_size=100)
    served = service.Service(KIM, model, vectors, Settings())
    monkeypatch.setattr(service, "start", {KIM: served}.__getitem__)
    handler = service.make_handler(KIM)
    assert post(handler, **KIM.EXAMPLE)[0] == 200
    assert json.loads(handler({"httpMethod": "GET"}, None)["body"]) == served.about()
    health = handler({"httpMethod": "GET", "path": "/kim_cnn/health"}, None)
    assert json.loads(health["body"])["table"] == "words"
    assert handler(EVENT, None) == {"statusCode": 200, "body": "{}"}
    before_snapshot, after_restore = hooks
    before_snapshot()
    after_restore()
    post(handler, input="plot")
    assert clients[2].reads == [["plot"]], "connections are new after a restore"
