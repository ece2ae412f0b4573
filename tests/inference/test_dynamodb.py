"""The client for reads: its answers are boto3's own, whatever is asked for and however it is answered."""

import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.dynamodb import dynamodb_client
from inference.word_vectors import FORMATS

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def both(table: str, words: list[str]) -> list[dict[str, Any]]:
    """Return what the client and boto3's answer, without what tells one call from another."""
    request = {table: {"Keys": [{"word": {"S": word}} for word in words]}}
    answers = [client.batch_get_item(RequestItems=request) for client in (dynamodb_client(), boto3.client("dynamodb"))]
    for answer in answers:
        assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
        answer["Responses"][table].sort(key=lambda item: item["word"]["S"])
    return answers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(WORDS, min_size=1, max_size=20, unique=True), st.data())
def test_items_are_read_as_boto3_reads_them(dynamodb: Any, put: Any, words: list[str], data: st.DataObject) -> None:
    for word in words[::2]:
        put(word, [0.5, -1.25, 3e-7], data.draw(st.sampled_from(FORMATS)))
    dynamodb.put_item(TableName="words", Item={"word": {"S": "no vector"}})
    ours, boto3s = both("words", [*words, "no vector"])
    assert ours == boto3s
    assert len(ours["Responses"]["words"]) >= len(words[::2])


def answering(client: Any, status: int, body: bytes) -> Any:
    """Return `client`, answered with `body` whatever it asks."""

    class Raw:
        def stream(self) -> list[bytes]:
            return [body]

    client.meta.events.register(
        "before-send.dynamodb.BatchGetItem", lambda request, **_: AWSResponse(request.url, status, {}, Raw())
    )
    return client


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"Responses": null}'),
        (200, b'{"Responses": {"words": [{"word": {"S": "a"}, "vector": {"B": "AAA"}}]}}'),
        (200, b'{"Responses": {"words": [{"word": {"S": "a"}, "vector": {"B": 7}}]}}'),
        (200, b'{"Responses": {"words": [7]}}'),
        (200, b'{"UnprocessedKeys": {"words": {"Keys": [{"word": {"S": "a"}}]}}, "Responses": {}}'),
        (400, json.dumps({"__type": "x#ResourceNotFoundException", "message": "no such table"}).encode()),
        (500, b"{}"),
    ],
)
def test_any_other_answer_ends_as_with_boto3(status: int, answer: bytes) -> None:
    outcomes = []
    once = Config(retries={"total_max_attempts": 1})
    for client in (dynamodb_client(), boto3.client("dynamodb", config=once)):
        try:
            found = answering(client, status, answer).batch_get_item(
                RequestItems={"words": {"Keys": [{"word": {"S": "a"}}]}}
            )
            outcomes.append((found.get("Responses"), found.get("UnprocessedKeys")))
        except Exception as error:
            outcomes.append((type(error).__name__, str(error)))
    assert outcomes[0] == outcomes[1]
