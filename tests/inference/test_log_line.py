"""The log line of a request: what it has, what it never has, and the metrics that CloudWatch takes from it."""

import json
import re
import time
from typing import Any

import pytest

from inference import log_line
from inference.gateway import http_handler
from inference.settings import Settings
from inference.word_vectors import VectorsError
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, answering, service

SECRET = "zorblax"
VECTOR = {"L": [{"N": "1"}] * 50}


class Context:
    """What Lambda tells of an invocation."""

    aws_request_id = "request-1"
    function_name = "kim"


def handler(settings: Settings = Settings(), **options: Any) -> Any:  # noqa: B008  frozen
    known = FakeDynamoDB(lambda word: None if SECRET in word else VECTOR)
    served = service(KIM, known, settings=settings, **options)
    return answering(served, about=served.about(), health=served.health)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out = capsys.readouterr().out
    assert SECRET not in out
    return [json.loads(line) for line in out.splitlines()]


def http(method: str, path: str, fields: Any = None) -> dict[str, Any]:
    event = json.loads((ROOT / "tests/events/http_api_v2.json").read_text())
    event["requestContext"]["http"]["method"] = method
    return {**event, "rawPath": path, "body": json.dumps(fields), "isBase64Encoded": False}


def test_a_request_has_one_line_with_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    handle, started = handler(), time.perf_counter()
    event = http("POST", "/kim_cnn", {"input": ["a good good movie", f"a {SECRET}"]})
    answer = handle(event, Context())
    handle(event, Context())
    handle({"httpMethod": "GET"}, Context())
    first, second, third = lines(capsys)
    shown = re.search(r'^    ({"request".*)', (ROOT / "docs/deploy.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert shown and list(first) == list(json.loads(shown[1])), "as the docs show it"
    counts = {"words": 6, "distinct": 4, "unknown": 1, "cached": 0, "calls": 1, "tries": 1}
    assert {name: first[name] for name in counts} == counts
    assert (first["request"], first["api_request"]) == ("request-1", event["requestContext"]["requestId"])
    assert (first["status"], first["event"], first["cold"]) == (200, "http", True)
    assert (first["bytes_in"], first["bytes_out"]) == (len(event["body"]), len(answer["body"]))
    assert time.perf_counter() - started >= first["seconds"] >= first["lookup_seconds"] + first["inference_seconds"]
    assert min(first["lookup_seconds"], first["inference_seconds"]) > 0
    assert (second["cached"], second["calls"], second["cold"]) == (4, 0, False)
    assert third["bytes_in"] == 0, "a GET has no body"


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        ({"Records": [{"body": SECRET}]}, "direct", 400),
        ([SECRET], "a list", 400),
        (http("POST", "/kim_cnn", {"inputs": SECRET}), "http", 400),
        (http("PUT", "/kim_cnn"), "http", 405),
        ({"requestContext": {"requestId": [SECRET]}}, "http", 400),
        ({"httpMethod": "PUT", "body": [SECRET]}, "http", 405),
    ],
)
def test_what_is_no_request_of_ours_has_a_line_too(
    event: Any, kind: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handler()(event, None)["statusCode"] == status
    (line,) = lines(capsys)
    assert (line["event"], line["status"], line["request"]) == (kind, status, None)


def test_of_a_request_id_of_any_length_the_line_has_64_characters(capsys: pytest.CaptureFixture[str]) -> None:
    handler()({"requestContext": {"requestId": 100 * "x"}}, None)
    assert lines(capsys)[0]["api_request"] == 64 * "x"


def test_a_request_that_fails_says_how_often_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(fields: Any, deadline: float, facts: dict[str, Any]) -> dict[str, Any]:
        facts["tries"] = 3
        raise VectorsError("why")

    http_handler(fail, Settings(log_level="ERROR"))({"input": SECRET}, None)
    (line,) = lines(capsys)
    assert (line["status"], line["tries"]) == (500, 3)
    handler(Settings(log_level="WARNING"))({"input": "a"}, None)
    assert lines(capsys) == [], "above INFO a request that succeeds has none"


def test_metrics_are_embedded_in_the_form_that_cloudwatch_takes(capsys: pytest.CaptureFixture[str]) -> None:
    handler(Settings(metrics=True))({"input": f"a {SECRET}"}, Context())
    (line,) = lines(capsys)
    assert line["_aws"]["Timestamp"] / 1000 == pytest.approx(time.time(), abs=60)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == log_line.NAMESPACE
    assert directive["Dimensions"] == [["function"]] and line["function"] == "kim"
    assert directive["Metrics"] == [{"Name": name, "Unit": unit} for name, unit in log_line.METRICS.items()]
    assert all(type(line[name]) in (int, float) for name in log_line.METRICS)
    assert (line["unknown"], line["distinct"], line["cold"]) == (1, 2, 1)
    handler(Settings(metrics=True))({}, Context())
    assert "_aws" not in lines(capsys)[0], "a request that was refused has no figures"


def test_health_reads_a_word_of_the_check_past_the_cache() -> None:
    known = FakeDynamoDB(lambda word: VECTOR)
    served = service(KIM, known)
    handle = answering(served, about=served.about(), health=served.health)
    for _ in range(2):
        answer = handle(http("GET", "/kim_cnn/health"), None)
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"])["model"] == "kim_cnn"
    assert len(known.reads) == 2 and known.reads[0] == known.reads[1]
    assert "digest" not in json.loads(handle(http("GET", "/kim_cnn"), None)["body"])
    known.attribute_of = lambda word: None
    assert handle(http("GET", "/kim_cnn/health"), None)["statusCode"] == 500
