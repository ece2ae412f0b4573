"""Fixtures of the fault tests; FAULTS=full in the environment makes every one of them its full size."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

import kim_handler
import sm_handler
from inference import word_vectors
from inference.word_vectors import WordVectors
from tests.conftest import Cloud
from tests.faults.proxy import FaultyDynamoDB, faulty_dynamodb

FULL = os.environ.get("FAULTS") == "full"


def size(small: int, full: int) -> int:
    """How many to try: a taste of it in every run of the tests, all of it on request."""
    return full if FULL else small


def examples(small: int, full: int) -> settings:
    """The same for a property test."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=size(small, full), deadline=None, suppress_health_check=checks)


@pytest.fixture(scope="module")
def proxy(cloud: Cloud) -> Iterator[FaultyDynamoDB]:
    """A proxy in front of the local cloud's DynamoDB."""
    with faulty_dynamodb(cloud.environment["AWS_ENDPOINT_URL"]) as server:
        yield server


@pytest.fixture(scope="module")
def client(proxy: FaultyDynamoDB) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", proxy.url)
        return word_vectors.dynamodb_client()


@pytest.fixture
def dynamodb_through(
    proxy: FaultyDynamoDB, client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> FaultyDynamoDB:
    """Have both handlers read the sample's table through the proxy, without a cache."""
    proxy.fault = lambda exchange: None
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    read_with(client, monkeypatch)
    caplog.set_level(logging.ERROR, "inference")
    torch.set_num_threads(1)  # the other processor is the proxy's
    return proxy


def read_with(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have both handlers read through this client, without a cache."""
    for handler in (kim_handler, sm_handler):
        monkeypatch.setattr(handler, "VECTORS", WordVectors(client, "word-vectors", handler.MODEL.vector_length, 0))
