"""A part of a batch: what its rows get, what happens to rows that can't be scored, and when nothing is written."""

import contextlib
import gzip
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from inference import batch
from inference.hot_words import HotWords
from inference.item_format import encode_vector
from inference.settings import Settings
from inference.word_vectors import VectorsError, VectorsUnavailableError
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, service

PART = "kim_cnn/0/parts/000000.jsonl.gz"
WORDS = "a good bad movie plot river how are caves formed the ice is slow".split()


def table() -> FakeDynamoDB:
    """Return a table with a vector for each of WORDS, and no other."""
    random = np.random.default_rng(0)
    vectors = {word: random.normal(0, 0.5, 50).astype(np.float32) for word in WORDS}
    return FakeDynamoDB(lambda word: encode_vector(vectors[word], "float32") if word in vectors else None)


def sentences(count: int) -> list[list[str]]:
    """Return rows of 1 to 60 words, some of them unknown."""
    random = np.random.default_rng(1)
    return [[" ".join(random.choice([*WORDS, "unheard"], random.integers(1, 60)))] for _ in range(count)]


def test_rows_of_mixed_length_get_what_a_request_gives_them_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "WORDS_AT_ONCE", 5)
    rows = sentences(200)
    answers, read = batch.score(service(KIM, table()), rows)
    alone = service(KIM, table())
    for [text], answer in zip(rows, answers, strict=True):
        expected = alone.answer({"input": text}, deadline=time.monotonic() + 10)
        assert answer["predicted"] == expected["label"]
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], rel=0, abs=1e-6)
    assert read == len(WORDS) + 1, "each word is read once"


def test_answers_are_ranked_among_those_of_their_question() -> None:
    rows = [
        ["how are caves formed", "the ice is slow"],
        ["is a river slow", "a river"],
        ["how are caves formed", "bad"],
    ]
    answers, _ = batch.score(service(SM, table()), rows)
    of_first = service(SM, table()).answer(
        {"sent1": rows[0][0], "sent2": [rows[0][1], rows[2][1]]}, time.monotonic() + 10
    )
    assert [answers[0]["probability"], answers[2]["probability"]] == pytest.approx(of_first["probability"], abs=1e-6)
    best = of_first["ranking"][0]
    assert [answers[0]["rank"], answers[2]["rank"]] == ([1, 2] if best == 0 else [2, 1])
    assert answers[1]["rank"] == 1


def test_a_row_that_can_not_be_scored_says_why_and_the_others_are_scored() -> None:
    served = service(KIM, table(), settings=Settings(max_body_bytes=100))
    answers, _ = batch.score(served, [["a good movie"], [None], [""], ["good " * 50], ["a bad plot"]])
    assert ["error" in answer for answer in answers] == [False, True, True, True, False]
    assert [answers[number]["error"] for number in (1, 2, 3)] == [
        "input is null; send a string or a list of strings",
        "input is empty; send a sentence",
        "input is over 100 bytes; send less at a time",
    ]
    assert all("error" in answer for answer in batch.score(served, [[None], [""]])[0]), "a part of such rows alone"


def test_only_the_rows_with_an_unreadable_vector_fail() -> None:
    damaged = table()
    damaged.items["plot"] = {"B": b"\0" * 12}
    rows = [["a good movie"], ["a bad plot"], *sentences(50)]
    served = service(KIM, damaged)
    served.vectors.hot = HotWords(np.array([b"river"]), np.zeros((1, 50), "<f4"), {})
    batch.score(served, [["a slow movie"]])
    before = damaged.read
    answers, read = batch.score(served, rows)
    assert read == damaged.read - before, "without what was hot or cached, with what was read again"
    assert batch.score(served, [["a river"], ["is slow"]])[1] == 0
    for [text], answer in zip(rows, answers, strict=True):
        assert ("error" in answer) == ("plot" in text.split())
    assert "'plot'" in answers[1]["error"]


def test_a_table_that_refuses_fails_the_part_and_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PATIENCE", 0.2)
    throttled = table()
    throttled.throttle_every = 1
    started = time.monotonic()
    with pytest.raises(VectorsUnavailableError):
        batch.score(service(KIM, throttled), [["a good movie"]])
    assert time.monotonic() - started < 5
    missing = table()
    missing.table = "another"
    with pytest.raises((VectorsError, KeyError)):
        batch.score(service(KIM, missing), [["a good movie"]])


def test_what_was_read_before_a_throttle_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = table()
    served = service(KIM, wide, cache_size=10_000)
    rows = [[f"word{number}"] for number in range(4 * batch.WORDS_AT_ONCE)]
    half = len(rows) // 2
    wide.fault = lambda number, keys: None if wide.read < half else {"UnprocessedKeys": {wide.table: {"Keys": keys}}}
    with monkeypatch.context() as patch, pytest.raises(VectorsUnavailableError):
        patch.setattr(batch, "PATIENCE", 1)
        batch.score(served, rows)
    wide.fault = lambda number, keys: None
    assert batch.score(served, rows)[1] == half, "words read, without those that were cached"
    assert wide.read <= len(rows) + batch.WORDS_AT_ONCE, "but for the lookup that failed"


def test_a_cache_of_words_fits_into_the_memory() -> None:
    assert batch.cached_words(1769, 50) > 400_000, "the vocabulary of GloVe 6B"
    assert batch.cached_words(1769, 600) * 600 * 4 < 1769e6 / 2


@pytest.fixture
def s3() -> Iterator[Any]:
    """An S3 client with the bucket `batches`, which has a part."""
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="batches")
        body = gzip.compress(b'["a good movie"]\n["\\ud800"]\n[""]\n')
        client.put_object(Bucket="batches", Key=PART, Body=body)
        yield client


def objects(s3: Any) -> dict[str, Any]:
    listed = s3.list_objects_v2(Bucket="batches")["Contents"]
    return {each["Key"]: each["LastModified"] for each in listed if "/results/" in each["Key"]}


def answer_part(served: Any, s3: Any) -> dict[str, Any]:
    return batch.answer_part(served, s3, "batches", "123456789012", PART)


def test_a_part_gets_its_result_once(s3: Any) -> None:
    started = time.perf_counter()
    facts = answer_part(service(KIM, table()), s3)
    assert 0 < facts["seconds"] <= time.perf_counter() - started + 0.001
    assert (facts["rows"], facts["failed"]) == (3, 1)
    found = s3.get_object(Bucket="batches", Key="kim_cnn/0/results/000000.jsonl.gz")
    assert found["Metadata"] == {name: str(value) for name, value in facts.items()}
    lines = [json.loads(line) for line in gzip.decompress(found["Body"].read()).splitlines()]
    assert [sorted(line) for line in lines] == [["predicted", "probabilities"]] * 2 + [["error"]]
    unread = table()
    assert answer_part(service(KIM, unread), s3) == {}, "it is done already"
    assert not unread.calls


@pytest.mark.parametrize(("code", "answered"), [("403", True), ("404", True), ("500", False)])
def test_where_a_function_may_not_list_a_part_counts_as_unanswered(
    code: str, answered: bool, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**where: str) -> None:
        raise ClientError({"Error": {"Code": code, "Message": ""}}, "HeadObject")

    monkeypatch.setattr(s3, "head_object", refuse)
    with contextlib.nullcontext() if answered else pytest.raises(ClientError, match=code):
        answer_part(service(KIM, table()), s3)
    assert bool(objects(s3)) == answered


def test_a_part_that_fails_leaves_no_result(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PATIENCE", 0.2)
    throttled = table()
    throttled.throttle_every = 1
    with pytest.raises(VectorsUnavailableError):
        answer_part(service(KIM, throttled), s3)
    assert objects(s3) == {}


def test_a_function_of_batches_keeps_all_words_and_answers_parts_of_its_own_account(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = service(KIM, table())
    monkeypatch.setattr(batch, "start", {KIM: served}.__getitem__)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3008")
    answer = batch.make_handler(KIM)
    assert served.vectors.cache_size == batch.cached_words(3008, 50)
    assert served.vectors.unknown_seconds == served.vectors.known_seconds == 3600
    event = {"bucket": "batches", "key": PART}
    context = SimpleNamespace(invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:kim-batch")
    assert answer(event, context)["rows"] == 3
    assert list(objects(s3)) == ["kim_cnn/0/results/000000.jsonl.gz"]
    monkeypatch.setattr(batch, "answer_part", lambda service, client, *where: where)
    assert answer(event, context) == ("batches", "123456789012", PART)
