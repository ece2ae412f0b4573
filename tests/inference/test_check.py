"""The check before traffic moves: a version passes with the model's own vectors and with no others."""

import json
from typing import Any

import numpy as np
import pytest

from inference.check import EVENT, with_check
from inference.gateway import http_handler
from inference.item_format import FORMATS, encode_vector
from inference.model_file import Model
from inference.service import Predict, Service
from inference.settings import Settings
from inference.word_vectors import WordVectors
from tests import serving
from tests.conftest import KIM_VECTORS, SAMPLE
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, committed, post
from toolkit.vectors.file import load_vectors

both = pytest.mark.parametrize("predict", [KIM, SM], ids=["kim", "sm"])


@pytest.fixture
def glove(predict: Predict) -> dict[str, np.ndarray]:
    """The vectors of the words of the model's check."""
    request = committed(predict).check["request"]  # type: ignore[index]
    words = {word for text in request.values() for word in text.split()}
    return load_vectors(KIM_VECTORS if predict is KIM else SAMPLE, words)


def checked(predict: Predict, client: Any, model: Model | None = None) -> tuple[int, dict[str, Any]]:
    """Return status and body of the answer to the check."""
    vectors = WordVectors(lambda: client, "words", 50, 100)
    service = Service(predict, model or committed(predict), vectors, Settings())
    handler = with_check(http_handler(service.answer, service.settings), service)
    answer = handler(EVENT, None)
    assert post(handler, check=True)[0] == 400, "an HTTP request is never a check"
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("format", FORMATS)
@both
def test_the_committed_models_pass_with_their_vectors_in_any_format(
    predict: Predict, format: str, glove: dict[str, np.ndarray]
) -> None:
    client = FakeDynamoDB(lambda word: encode_vector(glove[word], format) if word in glove else None)
    assert checked(predict, client) == (200, {})


@both
def test_an_empty_table_fails_the_check(predict: Predict) -> None:
    status, body = checked(predict, FakeDynamoDB(lambda word: None))
    assert status == 500
    assert body["error"].startswith("table words does not have the words [")
    assert "of the model's check; upload the vectors that the model was trained with" in body["error"]


@both
def test_one_unknown_word_fails_the_check(predict: Predict, glove: dict[str, np.ndarray]) -> None:
    missing = next(iter(glove.keys() & set(" ".join(committed(predict).check["request"].values()).split())))  # type: ignore[index]
    client = FakeDynamoDB(lambda word: encode_vector(glove[word]) if word in glove and word != missing else None)
    assert checked(predict, client)[1]["error"].startswith(f"table words does not have the words ['{missing}']")


@both
def test_other_vectors_of_the_same_dimensions_fail_the_check(predict: Predict, glove: dict[str, np.ndarray]) -> None:
    status, body = checked(predict, FakeDynamoDB(lambda word: encode_vector(glove[word][::-1].copy())))
    assert status == 500
    assert body["error"].startswith("table words has other vectors than the model was trained with: the logits are [[")


def test_vectors_of_other_dimensions_fail_the_check_with_both_lengths() -> None:
    vector = encode_vector(np.zeros(300, np.float32))
    status, body = checked(KIM, FakeDynamoDB(lambda word: vector))
    assert status == 500
    assert "1200 bytes, not the 200 (float32) or 101 (float16) of 50 dimensions" in body["error"]


def test_what_passes_is_a_503_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.check.PATIENCE", 0.0)
    status, body = checked(KIM, FakeDynamoDB(lambda word: None))
    assert status == 503
    assert "table words" in body["error"]


@both
def test_a_model_file_without_a_check_need_only_answer(predict: Predict) -> None:
    model = committed(predict)
    without = Model(model.config, model.forward, model.overlap)
    assert checked(predict, FakeDynamoDB(lambda word: None), without) == (200, {})
    assert checked(predict, FakeDynamoDB(lambda word: {"S": "broken"}), without)[0] == 500


def test_a_check_that_cannot_be_used_fails_with_a_reason() -> None:
    model = committed(KIM)
    broken = Model(model.config, model.forward, model.overlap, {"request": {}, "logits": []})
    assert checked(KIM, FakeDynamoDB(lambda word: None), broken) == (
        500,
        {"error": "no field 'input' in the request; send it as JSON"},
    )


def test_any_other_event_goes_to_the_handler_with_its_context() -> None:
    handler = with_check(lambda event, context: {"event": event, "context": context}, serving.service(KIM, None))
    assert handler({"input": "a"}, "context") == {"event": {"input": "a"}, "context": "context"}
