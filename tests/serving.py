"""Handlers as tests want them: the committed models, or another, on any client, table, cache and settings."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import kim_cnn.predict
import sm_cnn.predict
from architectures import PREDICT
from inference.gateway import Handler, http_handler
from inference.model_file import Model
from inference.service import Predict, Service
from inference.settings import Settings
from inference.word_vectors import WordVectors
from tests.conftest import ROOT
from tests.contract import checked

KIM = kim_cnn.predict
SM = sm_cnn.predict
TIMINGS = {"t_overall", "t_sent_embedding", "t_load_model", "t_inference"}


def committed(predict: Predict) -> Model:
    """Return the model that is in the repository."""
    return _committed(predict.ARCHITECTURE)


@cache
def _committed(architecture: str) -> Model:
    return PREDICT[architecture].load(ROOT / f"{architecture}.model")


def service(
    predict: Predict,
    client: Any,
    table: str = "words",
    cache_size: int = 100,
    settings: Settings = Settings(),  # noqa: B008  frozen
    load_seconds: float = 0.0,
) -> Service:
    """Return the committed model served from `table` through `client`."""
    model = committed(predict)
    vectors = WordVectors(lambda: client, table, model.vector_length, cache_size)
    return Service(predict, model, vectors, settings, load_seconds)


def handler(predict: Predict, client: Any, **options: Any) -> Handler:
    """Return the handler of `service`."""
    return answering(service(predict, client, **options))


def answering(service: Service, **more: Any) -> Handler:
    """Return a handler of `service`, as `http_handler` makes it, whose answers are checked against openapi.yaml."""
    return checked(http_handler(service.answer, service.settings, **more), service.predict.ARCHITECTURE)


def uncached(predict: Predict, connect: Callable[[], Any], table: str = "word-vectors") -> Handler:
    """Return the handler of the committed model that reads every word from `table`, by clients that `connect` makes."""
    model, settings = committed(predict), Settings()
    vectors = WordVectors(connect, table, model.vector_length, cache_size=0)
    return answering(Service(predict, model, vectors, settings))


def post(handler: Handler, **fields: Any) -> tuple[int, dict[str, Any]]:
    """Return status and parsed body of the answer to a request with these fields."""
    answer = handler({"body": json.dumps(fields)}, None)
    return answer["statusCode"], json.loads(answer["body"])


def without_timings(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in TIMINGS}
