"""Events of every kind in, the contract's answers and errors out."""

import base64
import json
import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inference.fields import texts_field
from inference.gateway import PATIENCE, TIME_TO_ANSWER, http_handler
from inference.settings import Settings
from inference.tokenizer import tokenize
from inference.word_vectors import VectorsError, VectorsUnavailableError

EVENTS = sorted((Path(__file__).parents[1] / "events").glob("*.json"))


def answer_with_input(fields: dict[str, Any], deadline: float, facts: dict[str, Any]) -> dict[str, Any]:
    """Answer with the `input` and the seconds left."""
    request = texts_field(fields, "input", tokenize, Settings())
    return {"input": request.texts if request.is_list else request.texts[0], "seconds": deadline - time.monotonic()}


echo = http_handler(answer_with_input, Settings())


def post(body: Any, context: Any = None, **event: Any) -> tuple[int, dict[str, Any]]:
    """Return status and parsed body of the answer to an HTTP API event with this body."""
    event = {"requestContext": {"http": {"method": "POST"}}, "body": body, **event}
    answer = echo(event, context)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_kind_of_event_is_understood(path: Path) -> None:
    answer = echo(json.loads(path.read_text()), None)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["input"] == "this is a very good movie"
    assert (answer["headers"]["Content-Type"], answer["isBase64Encoded"]) == ("application/json", False)
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (None, "the request has no body; send a JSON object"),
        ("", "the request has no body; send a JSON object"),
        ("{", "the body is not JSON in UTF-8; send a JSON object"),
        ("[" * 60_000, "the body is not JSON in UTF-8; send a JSON object"),
        ('"text"', "the body is a string; send a JSON object"),
        ("[]", "the body is a list; send a JSON object"),
        ("null", "the body is null; send a JSON object"),
        ("{}", "no field 'input' in the request; send it as JSON"),
        ('{"input": null}', "input is null; send a string or a list of strings"),
        ('{"input": true}', "input is a boolean; send a string or a list of strings"),
        ('{"input": 1e999}', "input is a number; send a string or a list of strings"),
        ('{"input": {}}', "input is an object; send a string or a list of strings"),
        ('{"input": []}', "input is an empty list; send at least one string"),
        ('{"input": ["a", 1]}', "input[1] is a number; send a string"),
        ('{"input": " \\n "}', "input is empty; send a sentence"),
        (json.dumps({"input": ["a"] * 129}), "input has 129 strings; send at most 128 a request"),
    ],
)
def test_what_the_caller_got_wrong_is_a_400_that_says_what_would_be_right(body: Any, complaint: str) -> None:
    assert post(body) == (400, {"error": complaint})


@pytest.mark.parametrize(
    "body",
    ["!", "/w==", base64.b64encode(b'{"input": "\xff"}').decode(), base64.b64encode(b'{"input": "a"}').decode() + "!"],
)
def test_broken_base64_is_a_400(body: str) -> None:
    assert post(body, isBase64Encoded=True)[0] == 400


def test_a_body_over_the_limit_is_a_413_before_it_is_parsed() -> None:
    limit = Settings().max_body_bytes
    complaint = {"error": f"the body is over {limit} bytes; send less at a time"}
    assert post("x" * (limit + 1)) == (413, complaint)
    assert post("é" * (limit // 2 + 1)) == (413, complaint)
    assert post(base64.b64encode(b"x" * (limit + 1)).decode(), isBase64Encoded=True) == (413, complaint)
    assert post("x" * 10_000_000) == (413, complaint)
    assert post('{"input": "a"}'.ljust(limit))[0] == 200


@pytest.mark.parametrize("letters", ["été …", "\U0001f4a9", "a\ud800b", '\u2028\x01"'])
def test_an_answer_is_utf8_and_echoes_a_text_in_no_more_bytes_than_it_came(letters: str) -> None:
    text = 20 * letters
    body = json.dumps({"input": text})
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        body = json.dumps({"input": text}, ensure_ascii=False)
    answer = echo({"requestContext": {"http": {"method": "POST"}}, "body": body}, None)
    assert json.loads(answer["body"])["input"] == text
    assert '": ' not in answer["body"]
    assert len(answer["body"].encode()) <= len(body.encode()) + 40  # the seconds


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
@pytest.mark.parametrize("version", [1, 2])
def test_other_methods_are_a_405_that_says_which_are_served(method: str, version: int) -> None:
    event = {"httpMethod": method} if version == 1 else {"requestContext": {"http": {"method": method}}}
    answer = echo(event, None)
    assert answer["statusCode"] == 405
    assert answer["headers"]["Allow"] == "GET, OPTIONS, POST"


@pytest.mark.parametrize("event", [{"httpMethod": "GET"}, {"requestContext": {"http": {"method": "GET"}}}])
def test_get_says_what_the_model_is(event: dict[str, Any]) -> None:
    answer = http_handler(answer_with_input, Settings(), {"title": "Tickets"})(event, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"title": "Tickets"})
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"


def test_a_preflight_is_answered_with_cors_headers() -> None:
    answer = echo({"requestContext": {"http": {"method": "OPTIONS"}}}, None)
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["Access-Control-Allow-Methods"] == "GET, OPTIONS, POST"
    assert answer["headers"]["Access-Control-Allow-Headers"] == "Content-Type"


def test_without_an_origin_to_allow_no_header_of_cors_is_sent() -> None:
    for event in ({"input": "a"}, {"httpMethod": "GET"}, None):
        headers = http_handler(answer_with_input, Settings(cors_allow_origin=""))(event, None)["headers"]
        assert not [name for name in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        (None, "the event is null; send a JSON object"),
        ([], "the event is a list; send a JSON object"),
        ("text", "the event is a string; send a JSON object"),
        (3, "the event is a number; send a JSON object"),
        ({}, "no field 'input' in the request; send it as JSON"),
        ({"requestContext": 3, "body": "{}"}, "no field 'input' in the request; send it as JSON"),
        ({"httpMethod": 3}, "the request has no body; send a JSON object"),
    ],
)
def test_events_of_other_kinds_are_a_400_that_says_what_would_be_right(event: Any, complaint: str) -> None:
    answer = echo(event, None)
    assert (answer["statusCode"], json.loads(answer["body"])) == (400, {"error": complaint})


@pytest.mark.parametrize(
    ("error", "status", "logged"),
    [
        (
            VectorsUnavailableError("table words: 3 words unread after 9 tries"),
            503,
            "table words: 3 words unread",
        ),
        (VectorsError("not authorized: dynamodb:BatchGetItem"), 500, "not authorized: dynamodb:BatchGetItem"),
        (ZeroDivisionError("secret"), 500, "secret"),
    ],
)
def test_the_cause_of_a_failure_goes_to_the_log_and_never_to_the_caller(
    error: Exception, status: int, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(fields: dict[str, Any], deadline: float, facts: dict[str, Any]) -> dict[str, Any]:
        raise error

    with caplog.at_level(logging.ERROR):
        answer = http_handler(fail, Settings())({"input": "a"}, None)
    assert answer["statusCode"] == status
    assert json.loads(answer["body"]).keys() == {"error"} and json.loads(answer["body"])["error"]
    assert logged in caplog.text
    assert logged not in answer["body"]
    assert answer["headers"].get("Retry-After") == ("1" if status == 503 else None)
    assert answer["headers"]["Access-Control-Expose-Headers"] == "Retry-After", "or a page could not read it"
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"


def test_what_json_can_not_spell_is_a_500_and_no_answer_that_the_caller_can_not_parse() -> None:
    answer = http_handler(lambda *given: {"score": float("nan")}, Settings())({"input": "a"}, None)
    assert (answer["statusCode"], set(json.loads(answer["body"]))) == (500, {"error"})


def test_the_origin_that_may_call_is_a_setting() -> None:
    handler = http_handler(answer_with_input, Settings(cors_allow_origin="https://example.org"))
    for event in ({"input": "a"}, {"input": 3}):
        assert handler(event, None)["headers"]["Access-Control-Allow-Origin"] == "https://example.org"


def test_a_text_that_is_as_long_as_may_be_is_taken_and_a_byte_more_is_a_413() -> None:
    limit = Settings().max_body_bytes
    assert echo({"input": "é" * (limit // 2)}, None)["statusCode"] == 200
    assert echo({"input": "é" * (limit // 2) + "a"}, None)["statusCode"] == 413
    assert echo({"input": ["a" * (limit // 2)] * 2}, None)["statusCode"] == 200
    assert echo({"input": ["a" * (limit // 2)] * 2 + ["a"]}, None)["statusCode"] == 413


def test_a_request_is_over_before_lambda_would_kill_it() -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 3000)
    assert 1.5 < post('{"input": "a"}', context)[1]["seconds"] <= 3000 / 1000 - TIME_TO_ANSWER
    patient = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
    assert post('{"input": "a"}', patient)[1]["seconds"] <= PATIENCE
