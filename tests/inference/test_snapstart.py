"""SnapStart hooks: a real request before the snapshot, fresh connections after it is restored."""

import random
import sys
from typing import Any

import pytest
import snapshot_restore_py
from botocore.exceptions import ClientError

from inference import snapstart
from inference.word_vectors import WordVectors
from tests.fakes.dynamodb import FakeDynamoDB, Keys
from tests.serving import KIM, handler, post


class Hooks:
    """The functions that were registered for before a snapshot and after its restore."""

    def __init__(self) -> None:
        self.before: list[Any] = []
        self.after: list[Any] = []

    def snapshot(self) -> None:
        for hook in self.before:
            hook()

    def restore(self) -> None:
        for hook in self.after:
            hook()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    hooks = Hooks()
    monkeypatch.setattr(snapshot_restore_py, "register_before_snapshot", hooks.before.append)
    monkeypatch.setattr(snapshot_restore_py, "register_after_restore", hooks.after.append)
    return hooks


def nothing() -> None:
    pass


def test_a_request_is_served_before_the_snapshot(hooks: Hooks) -> None:
    client = FakeDynamoDB(lambda word: None)
    snapstart.register(handler(KIM, client), nothing, KIM.EXAMPLE)
    assert client.reads == []
    hooks.snapshot()
    assert client.reads == [["this", "is", "a", "very", "good", "movie"]]


def test_a_permission_that_has_not_spread_yet_is_waited_for(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapstart, "RETRY_AFTER", 0.01)
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not yet"}}, "BatchGetItem")

    def fault(number: int, keys: Keys) -> None:
        if number < 3:
            raise denied

    client = FakeDynamoDB(lambda word: None, fault)
    snapstart.register(handler(KIM, client), nothing, KIM.EXAMPLE)
    hooks.snapshot()
    assert len(client.reads) == 3


def test_a_version_that_cannot_serve_is_not_published(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapstart, "PATIENCE", 0.1)
    monkeypatch.setattr(snapstart, "RETRY_AFTER", 0.01)
    snapstart.register(handler(KIM, FakeDynamoDB(lambda word: {"S": "broken"})), nothing, KIM.EXAMPLE)
    with pytest.raises(RuntimeError, match=r"the request before the snapshot was answered 500: .*log says why"):
        hooks.snapshot()


def test_connections_are_new_after_the_restore_and_the_cache_is_kept(hooks: Hooks, dynamodb: Any, put: Any) -> None:
    put("c", [0.5])
    first = FakeDynamoDB(lambda word: None)
    clients = iter([first, dynamodb])
    vectors = WordVectors(lambda: next(clients), "words", 1, cache_size=10)
    snapstart.register(handler(KIM, first), vectors.reconnect, KIM.EXAMPLE)
    assert vectors.lookup(["a", "b"]) == {"a": None, "b": None}
    hooks.restore()
    assert vectors.lookup(["a", "c"]) == {"a": None, "c": 0.5}
    assert first.reads == [["a", "b"]]


def test_restored_functions_back_off_each_by_its_own_chance(hooks: Hooks) -> None:
    snapstart.register(handler(KIM, FakeDynamoDB(lambda word: None)), nothing, KIM.EXAMPLE)
    drawn = set()
    for _ in range(3):
        random.seed(7)  # what the snapshot holds
        hooks.restore()
        drawn.add(random.random())
    assert len(drawn) == 3


def test_where_the_runtime_has_no_snapshots_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    served = handler(KIM, FakeDynamoDB(lambda word: None))
    snapstart.register(served, nothing, KIM.EXAMPLE)
    assert post(served, **KIM.EXAMPLE)[0] == 200
