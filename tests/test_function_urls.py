"""Function URLs in the place of the API: calls through them, their CORS, who may call, and the page."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cloud
from tests.stacks import DEPLOY, PAIR, SENTENCE, call, printed, send

STACK = "without-api"


@pytest.fixture(scope="module")
def urls(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Where both models are served, each at a URL of its own."""
    packages: list[str | Path] = ["--sm-cnn", cloud.packages["sm_cnn"], "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", "--stack", STACK, *packages, "--parameter", "Front=function-url")
    assert "anyone may call (Auth=none)" in ran.stderr
    assert "%)" not in ran.stderr, "progress of uploads is for terminals"
    yield printed(ran.stdout)
    cloud.run(DEPLOY, "down", "--stack", STACK, "--yes")


def test_both_models_answer_at_once_and_say_what_they_are_and_whether_they_work(
    urls: dict[str, str], cloud: Cloud
) -> None:
    assert "url_open_to_nobody_yet" in cloud.aws.refused, "what `up` waits out"
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["label"] == "very positive"
    assert call(urls["SmCnnUrl"], PAIR)[0] == 200
    assert call(urls["KimCnnUrl"], method="GET")[1]["model"] == "kim_cnn"
    assert call(f"{urls['SmCnnUrl']}/health", method="GET")[1]["table"] == "word-vectors"
    assert call(urls["KimCnnUrl"], b"{")[0] == 400
    assert call(urls["KimCnnUrl"], method="PUT")[0] == 405


def test_each_answer_has_each_header_of_cors_once(urls: dict[str, str]) -> None:
    for fields in (SENTENCE, b"{"):
        headers = call(urls["KimCnnUrl"], fields)[2]
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Access-Control-Expose-Headers"].lower() == "retry-after"


def test_a_preflight_is_answered(urls: dict[str, str]) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, _, headers = send(urls["KimCnnUrl"], method="OPTIONS", **asked)  # by the URL, not the function
    assert status in (200, 204)
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(headers["Access-Control-Allow-Headers"].split(","))


def test_with_iam_a_request_without_a_signature_is_refused_and_the_front_can_change(
    urls: dict[str, str], cloud: Cloud
) -> None:
    cloud.run(DEPLOY, "up", "--stack", STACK, "--parameter", "Auth=iam")
    assert send(urls["KimCnnUrl"], SENTENCE)[0] == 403
    ran = cloud.run(DEPLOY, "up", "--stack", STACK, "--parameter", "Auth=none", "--parameter", "Front=http-api")
    api = printed(ran.stdout)["KimCnnUrl"]
    assert "execute-api" in api
    assert call(api, SENTENCE)[2]["Access-Control-Allow-Origin"] == "*"


def test_the_page_asks_each_model_at_its_own_url(cloud: Cloud, urls: dict[str, str]) -> None:
    ran = cloud.run(DEPLOY, "up", "--stack", STACK, "--parameter", "Front=function-url", "--page")
    found = printed(ran.stdout)
    bases = [found[name].rpartition("/")[0] for name in ("SmCnnUrl", "KimCnnUrl")]
    with urllib.request.urlopen(found["PageUrl"]) as answer:
        content = answer.read().decode()
    assert f'<meta name="api" content="{" ".join(bases)}">' in content
