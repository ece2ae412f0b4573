"""Hostile bodies and events: never an exception, never a 5xx for what the caller did, always JSON with CORS headers."""

import base64
import copy
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.item_format import encode_vector
from inference.settings import Settings
from tests.fakes.dynamodb import FakeDynamoDB
from tests.faults.conftest import examples
from tests.serving import KIM, SM, handler

EVENTS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parents[1] / "events").glob("*.json"))]
FOREIGN = [json.loads(path.read_text()) for path in sorted(Path(__file__).with_name("events").glob("*.json"))]
LAMBDA_ANSWER = 6_000_000  # bytes, less than Lambda's 6 MB


VECTOR = encode_vector(np.linspace(-1, 1, 50, dtype=np.float32))
TABLE = FakeDynamoDB(lambda word: VECTOR if "a" <= word[0] <= "m" else None)
kim_handler, sm_handler = handler(KIM, TABLE, cache_size=500), handler(SM, TABLE, cache_size=500)


def strict(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def answers(event: Any) -> list[dict[str, Any]]:
    """Return both handlers' answers to the event, once they are the contract's."""
    both = [kim_handler(event, None), sm_handler(event, None)]
    for answer in both:
        assert len(json.dumps(answer)) < LAMBDA_ANSWER
        assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
        assert answer["statusCode"] in (200, 204, 400, 405, 413), answer
        assert answer["headers"]["Content-Type"] == "application/json"
        assert answer["headers"]["Access-Control-Allow-Origin"] == "*"
        assert all(name.isascii() and value.isascii() for name, value in answer["headers"].items())
        if answer["statusCode"] == 204:
            assert answer["body"] == ""
            continue
        body = json.loads(answer["body"], parse_constant=strict)
        if answer["statusCode"] == 200:
            assert "error" not in body
        else:
            assert set(body) == {"error"}
            assert 0 < len(body["error"]) < 200
            assert "Traceback" not in body["error"]
    return both


def http(body: Any, **event: Any) -> dict[str, Any]:
    return {"requestContext": {"http": {"method": "POST"}}, "body": body, **event}


# Text as nobody types it: NUL, lone surrogates, right-to-left marks, combining characters, astral planes.
any_character = st.characters(exclude_categories=())
nasty = st.one_of(
    st.sampled_from("\0\ud800\udfff\u202e\u0301\ufeff\u2028\x85\x1c\U0001f4a9ǅİß'\"`…"),
    st.sampled_from("-lrb- n't cannot a. 1,000 שלום مرحبا".split()),
)
texts = st.one_of(
    st.text(any_character, max_size=50),
    st.lists(st.one_of(nasty, st.text(max_size=5)), max_size=30).map("".join),
    st.lists(st.one_of(nasty, st.sampled_from("a good movie this is very bad".split())), max_size=300).map(" ".join),
    st.builds(lambda part, count: part * count, nasty, st.integers(0, 2000)),
)
numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**4000, -(10**400), math.nan, math.inf, -0.0, 1e-400])
)
names = st.one_of(
    st.sampled_from(["input", "sent1", "sent2", "body", "httpMethod", "requestContext", "headers"]), texts
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(names, inner, max_size=5)),
    max_leaves=12,
)
sentences = st.one_of(texts, st.lists(st.one_of(texts, texts, values), max_size=8), values)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "input": sentences,
        "sent1": sentences,
        "sent2": sentences,
        "explain": st.one_of(st.booleans(), values),
        "x": values,
    },
)


@examples(80, 8_000)
@given(bodies, st.booleans(), st.sampled_from(["json", "ascii", "base64", "fields", "object"]))
def test_any_json_in_any_field(body: Any, spaced: bool, way: str) -> None:
    written = json.dumps(body, ensure_ascii=way == "ascii", indent=1 if spaced else None)
    if way == "base64":
        data = written.encode("utf-8", "surrogatepass")
        answers(http(base64.b64encode(data).decode(), isBase64Encoded=True))
    elif way == "fields":
        answers(body)
    else:
        answers(http(body if way == "object" else written))


@examples(60, 6_000)
@given(st.one_of(st.binary(max_size=300), texts.map(lambda text: text.encode("utf-8", "surrogatepass"))), st.booleans())
def test_any_bytes(data: bytes, encoded: bool) -> None:
    answers(http(base64.b64encode(data).decode(), isBase64Encoded=True))
    answers(http(data.decode("latin-1"), isBase64Encoded=encoded))
    answers(http(data.decode("utf-8", "surrogateescape")))


VALID = [
    b'{"input": "this is a very good movie"}',
    '{"sent1": "how are caves formed", "sent2": ["é is", "\\ud83d\\ude00 \\u0000"], "input": ["a", "b"]}'.encode(),
]


@examples(60, 6_000)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 2), st.binary(min_size=1, max_size=3)), max_size=4),
    st.integers(0, 200),
)
def test_a_body_damaged_on_the_way(data: bytes, changes: list[tuple[int, int, bytes]], end: int) -> None:
    for place, removed, inserted in changes:
        data = data[:place] + inserted + data[place + removed :]
    answers(http(base64.b64encode(data[:end]).decode(), isBase64Encoded=True))
    answers(http(data[:end].decode("utf-8", "replace")))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container and key inside an event."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@examples(80, 8_000)
@given(st.sampled_from([*EVENTS, *FOREIGN]), st.data())
def test_an_event_with_anything_in_any_place(event: dict[str, Any], data: st.DataObject) -> None:
    event = copy.deepcopy(event)
    for _ in range(data.draw(st.integers(0, 3))):
        container, key = data.draw(st.sampled_from(list(places(event)) or [(event, "body")]))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container.pop(key, None)
        else:
            container[key] = copy.deepcopy(data.draw(st.one_of(values, st.sampled_from(EVENTS))))
    answers(event)


@examples(50, 1_000)
@given(values)
def test_an_event_that_is_anything(event: Any) -> None:
    answers(event)


@pytest.mark.parametrize("event", FOREIGN, ids=lambda event: ",".join(event)[:40])
def test_an_event_of_another_service_is_a_400(event: dict[str, Any]) -> None:
    assert [answer["statusCode"] for answer in answers(event)] == [400, 400]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: ",".join(event)[:40])
@examples(5, 300)
@given(headers=st.one_of(st.none(), st.dictionaries(texts, st.one_of(texts, st.lists(texts)), max_size=4)))
def test_headers_missing_doubled_or_strange_change_nothing(event: dict[str, Any], headers: Any) -> None:
    changed = {**event, "headers": headers, "multiValueHeaders": headers}
    without = {name: value for name, value in event.items() if "eaders" not in name}
    if "body" not in event:
        changed, without = {**event, "x-header": headers}, event
    expected, *others = (kim_handler(each, None) for each in (event, changed, without))
    for answer in others:
        assert answer["statusCode"] == expected["statusCode"] == 200
        assert json.loads(answer["body"])["output"] == json.loads(expected["body"])["output"]


BIG = 5_000_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"input": "a" * BIG, "sent1": "a" * BIG, "sent2": "a"}, 413),
        ({"input": "a " * (BIG // 2), "sent1": "a", "sent2": "a " * (BIG // 2)}, 413),
        ({"input": "\U0001f4a9" * BIG, "sent1": "a", "sent2": ["\U0001f4a9" * BIG]}, 413),
        ({"input": ["a" * (BIG // 100)] * 100, "sent1": "a", "sent2": ["a" * (BIG // 100)] * 100}, 413),
        ({"input": ["a"] * BIG, "sent1": "a", "sent2": ["a"] * BIG}, 400),
        ({"httpMethod": "x" * BIG}, 405),
        ({"requestContext": {"http": {"method": "\ud800" * BIG}}}, 405),
        ({"body": "x" * BIG}, 413),
        ({"body": "[" * BIG}, 413),
        ({"body": "[" * 60_000}, 400),
        ({"body": '{"input":' * 6_000}, 400),
        ({"body": '{"input": ' + "9" * 60_000 + "}"}, 400),
        ({"body": '{"input": 1e' + "9" * 60_000 + "}"}, 400),
        ({"x" * BIG: 1}, 400),
    ],
    ids=lambda value: repr(value)[:25],
)
def test_what_is_far_too_large_is_refused_by_its_limit(fields: dict[str, Any], status: int) -> None:
    assert [answer["statusCode"] for answer in answers(fields)] == [status] * 2


def test_a_direct_invocation_is_held_to_the_limit_of_a_body() -> None:
    answer = kim_handler({"input": ["a" * 40_000] * 2}, None)
    complaint = {"error": f"input is over {Settings().max_body_bytes} bytes; send less at a time"}
    assert (answer["statusCode"], json.loads(answer["body"])) == (413, complaint)
    one = kim_handler({"input": "a" * (Settings().max_body_bytes + 1)}, None)
    assert (one["statusCode"], json.loads(one["body"])) == (413, complaint)


def test_a_long_method_is_not_sent_back_whole() -> None:
    answer = kim_handler({"httpMethod": "BREW" * 1000}, None)
    assert json.loads(answer["body"]) == {"error": "method BREWBREWBR is not served; use POST"}


def test_no_answer_within_the_limits_is_over_lambdas() -> None:
    """The most that is echoed: what has six bytes in JSON, as text and as unknown words."""
    texts = ["\ud800" * 40 + f"{row}-{column}" for row in range(20) for column in range(6)]
    (kim, sm) = answers({"input": texts, "sent1": texts[0], "sent2": texts})
    assert (kim["statusCode"], sm["statusCode"]) == (200, 200)
    assert len(kim["body"]) > 6 * 2 * 40 * len(texts)


def test_logits_that_overflow_are_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """JSON knows no NaN, and a class chosen among NaNs is a wrong answer given with confidence."""
    huge = encode_vector(np.full(50, 3e38, np.float32))
    assert handler(KIM, FakeDynamoDB(lambda word: huge))({"input": "a b"}, None)["statusCode"] == 500
    assert "request failed" in caplog.text
