"""SnapStart hooks: a real request before the snapshot, fresh connections after it is restored."""

from typing import Any

import boto3
import pytest
import snapshot_restore_py

from inference import gateway, snapstart
from inference.word_vectors import WordVectors


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """The functions registered for before a snapshot and after its restore."""
    before: list[Any] = []
    after: list[Any] = []
    monkeypatch.setattr(snapshot_restore_py, "register_before_snapshot", before.append)
    monkeypatch.setattr(snapshot_restore_py, "register_after_restore", after.append)
    return before, after


@gateway.endpoint
def handler(fields: dict[str, Any], deadline: float) -> dict[str, Any]:
    served.append(fields)
    return {"length": len(fields["input"])}


served: list[Any] = []


def test_a_request_is_served_before_the_snapshot(dynamodb: Any, hooks: tuple[list[Any], list[Any]]) -> None:
    snapstart.register(handler, WordVectors(dynamodb, "words", 1, cache_size=1), {"input": "a"})
    assert served == []
    for hook in hooks[0]:
        hook()
    assert served == [{"input": "a"}]


def test_a_version_that_cannot_serve_is_not_published(dynamodb: Any, hooks: tuple[list[Any], list[Any]]) -> None:
    snapstart.register(handler, WordVectors(dynamodb, "words", 1, cache_size=1), {"input": 3})
    with pytest.raises(RuntimeError, match="answered 500"):
        hooks[0][0]()


def test_connections_are_new_after_the_restore_and_the_cache_is_kept(
    dynamodb: Any, put: Any, hooks: tuple[list[Any], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapstart, "dynamodb_client", lambda: boto3.client("dynamodb"))
    put("a", [1])
    vectors = WordVectors(dynamodb, "words", 1, cache_size=1)
    snapstart.register(handler, vectors, {"input": "a"})
    vectors.lookup(["a"])
    for hook in hooks[1]:
        hook()
    assert vectors.client is not dynamodb
    assert vectors.lookup(["a"])["a"] == 1
    put("b", [2])
    assert vectors.lookup(["b"])["b"] == 2
