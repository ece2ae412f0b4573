"""openapi.yaml: its own examples hold, and the deployed API keeps to it, whatever schemathesis sends."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.settings import Settings
from tests import contract
from tests.conftest import ROOT, Cloud
from tests.fakes.dynamodb import FakeDynamoDB
from tests.faults.conftest import size
from tests.serving import KIM, PREDICT, SM, handler, post
from tests.stacks import DEPLOY, printed

STACK = "described"


def contents(value: Any) -> Iterator[dict[str, Any]]:
    """Yield everything in the document that has a schema and examples."""
    if isinstance(value, dict):
        if "schema" in value and ("example" in value or "examples" in value):
            yield value
        for part in value.values():
            yield from contents(part)


def test_its_examples_are_what_it_promises() -> None:
    shown = list(contents(contract.DOCUMENT))
    assert len(shown) > 15
    for content in shown:
        several = [example["value"] for example in content.get("examples", {}).values()]
        for example in several or [content["example"]]:
            contract.valid(example, content["schema"])


@pytest.mark.parametrize("model", ["kim_cnn", "sm_cnn"])
def test_its_requests_are_answered(model: str) -> None:
    body = contract.DOCUMENT["paths"][f"/{model}"]["post"]["requestBody"]["content"]["application/json"]
    ask = handler(PREDICT[model], FakeDynamoDB())
    for example in body["examples"].values():
        status, answer = post(ask, **example["value"])
        assert (status, "influence" in answer) == (200, example["value"].get("explain", False))


def test_its_bounds_are_the_defaults() -> None:
    settings, schemas = Settings(), contract.DOCUMENT["components"]["schemas"]
    assert schemas["Texts"]["maxItems"] == settings.max_sentences
    assert f"{settings.max_explained_words} words" in schemas["Explain"]["description"]
    assert f"{settings.max_words} without" in schemas["Text"]["description"]
    too_large = contract.DOCUMENT["components"]["responses"]["TooLarge"]["description"]
    assert f"{settings.max_body_bytes:,}" in too_large


@pytest.mark.parametrize("predict", [KIM, SM])
def test_a_text_has_a_word_where_its_pattern_says_so(predict: Any) -> None:
    """No other text is refused for being empty, of whatever characters white space is made."""
    pattern = re.compile(contract.DOCUMENT["components"]["schemas"]["Text"]["pattern"])
    ask = handler(predict, FakeDynamoDB(), settings=Settings(log_level="CRITICAL"))
    last = list(predict.EXAMPLE)[-1]
    for text in [*map(chr, range(128)), *(text for text in map(chr, range(128, 0x10000)) if text.isspace()), "\ufeff"]:
        expected = 200 if pattern.search(text) else 400
        assert post(ask, **{**predict.EXAMPLE, last: text})[0] == expected, ascii(text)


def test_an_answer_that_breaks_a_promise_is_noticed() -> None:
    headers = {"Content-Type": "application/json"}
    with pytest.raises(Exception, match="'model' is a required property"):
        contract.check("/kim_cnn/health", "GET", 200, headers, {"digest": "", "table": ""})
    with pytest.raises(AssertionError, match="418, which openapi"):
        contract.check("/kim_cnn", "POST", 418, headers, {})
    with pytest.raises(AssertionError, match="405 without the header Allow"):
        contract.check("/kim_cnn", "PUT", 405, headers, {"error": "no"})


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Iterator[str]:
    """The URL of an API with both models, without their paths."""
    sm_cnn, kim_cnn = cloud.packages["sm_cnn"], cloud.packages["kim_cnn"]
    ran = cloud.run(DEPLOY, "up", "--stack", STACK, "--sm-cnn", sm_cnn, "--kim-cnn", kim_cnn)
    yield printed(ran.stdout)["KimCnnUrl"].removesuffix("/kim_cnn")
    cloud.run(DEPLOY, "down", "--stack", STACK, "--yes")


def test_the_deployed_api_keeps_to_it(api: str, tmp_path: Path) -> None:
    """Generated requests, right and wrong: the status, headers and body of every answer are promised."""
    program, config = Path(sys.executable).with_name("schemathesis"), ROOT / "tests/schemathesis.toml"
    tried = ["--phases", "examples,coverage,fuzzing", "--max-examples", str(size(10, 2000)), "--seed", "1"]
    command = [program, "--config-file", config, "run", ROOT / "openapi.yaml", "--url", api, "--no-color", *tried]
    ran = subprocess.run(
        [*map(str, command), "--generation-database", "none"], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert int(re.findall(r"(\d+) generated", ran.stdout)[0]) > 100
