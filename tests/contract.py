"""Answers against openapi.yaml: what tests get from handlers and over HTTP passes through here."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator

from inference.gateway import Handler, _method, _path
from tests.conftest import ROOT

DOCUMENT = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
# Answers to a method or path that the document does not have, and so has no answers of.
NOT_ALLOWED = {"$ref": "#/components/responses/NotAllowed"}
NOT_FOUND = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayError"}}}}


def check(path: str, method: str, status: int, headers: Mapping[str, str], body: Any) -> None:
    """Check an answer's status, headers and parsed body, None when it is empty, against what openapi.yaml promises."""
    response = _resolve(_response(path, method.lower(), str(status)))
    lower = {name.lower(): value for name, value in headers.items()}
    for name, promised in response.get("headers", {}).items():
        header = _resolve(promised)
        value = lower.get(name.lower())
        assert value is not None or not header.get("required"), f"{status} without the header {name}"
        if value is not None:
            valid(int(value) if header["schema"]["type"] == "integer" else value, header["schema"])
    if "content" not in response:
        assert body is None, f"{method} {path} answers {status} with a body"
    elif method != "HEAD":
        assert lower["content-type"].partition(";")[0] == "application/json"
        valid(body, response["content"]["application/json"]["schema"])


def valid(value: Any, schema: Mapping[str, Any]) -> None:
    """Check a value against a schema, whose references are those of the document."""
    _validator(json.dumps(schema)).validate(value)


def checked(handler: Handler, model: str) -> Handler:
    """Return the handler of a model, which checks each of its answers."""

    def checking(event: Any, context: Any) -> dict[str, Any]:
        answer = handler(event, context)
        health = isinstance(event, dict) and _method(event) == "GET" and _path(event).endswith("/health")
        body = json.loads(answer["body"]) if answer["body"] else None
        path = f"/{model}/health" if health else f"/{model}"
        check(path, _method(event), answer["statusCode"], answer["headers"], body)
        return answer

    return checking


def path_of(url: str) -> str:
    """Return the path of the document that a URL ends with; where the API is differs."""
    found = [path for path in DOCUMENT["paths"] if urlsplit(url).path.endswith(path)]
    return found[0] if found else ""


def _response(path: str, method: str, status: str) -> dict[str, Any]:
    operation = DOCUMENT["paths"].get(path, {}).get(method)
    if status == "404":  # no route
        return NOT_FOUND
    if status == "405":
        return NOT_ALLOWED
    assert operation, f"openapi.yaml does not have {method} {path}, which answers {status}"
    assert status in operation["responses"], f"{method} {path} answers {status}, which openapi.yaml does not have"
    response: dict[str, Any] = operation["responses"][status]
    return response


def _resolve(value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = DOCUMENT
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return _resolve(found)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({"allOf": [json.loads(schema)], "components": DOCUMENT["components"]})
