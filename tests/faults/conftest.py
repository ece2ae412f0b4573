"""Fixtures of the fault tests; FAULTS=full in the environment makes every one of them its full size."""

import logging
import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

from inference.dynamodb import read_client
from inference.gateway import Handler
from tests.conftest import Cloud
from tests.faults.proxy import FaultyDynamoDB, faulty_dynamodb
from tests.serving import KIM, SM, uncached

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


@pytest.fixture
def through_the_proxy(
    proxy: FaultyDynamoDB, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> FaultyDynamoDB:
    """Clients made from here on read the sample's table through the proxy."""
    proxy.fault = lambda exchange: None
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    caplog.set_level(logging.ERROR, "inference")
    torch.set_num_threads(1)  # the other processor is the proxy's
    return proxy


def handlers() -> dict[str, Handler]:
    """Return the handler for requests with the field `input` and `sent1`, each with a new client and no cache."""
    return {"input": uncached(KIM, read_client), "sent1": uncached(SM, read_client)}
