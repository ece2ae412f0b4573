"""The check before traffic moves: what passes is tried again, what does not is reported, a rollback asks nothing."""

import io
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.response import StreamingBody
from botocore.stub import Stubber

from toolkit.deployment import template
from toolkit.deployment.first_request import first_request

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:kim"
ERRORS = [shape.name for shape in boto3.client("lambda").meta.service_model.operation_model("Invoke").error_shapes]
MORE_THAT_IAM_SAYS = ["AccessDeniedException", "ThrottlingException"]  # of no operation's model


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_request, "PAUSE", 0)


@pytest.fixture
def client() -> Any:
    return boto3.client("lambda")


def payload(value: Any) -> dict[str, Any]:
    content = json.dumps(value).encode()
    return {"Payload": StreamingBody(io.BytesIO(content), len(content))}


def answer(status: int, body: str = "{}") -> dict[str, Any]:
    return payload({"statusCode": status, "body": body})


def crash(message: str) -> dict[str, Any]:
    return {**payload({"errorMessage": message, "errorType": "Error"}), "FunctionError": "Unhandled"}


def asked(client: Any, *steps: str | dict[str, Any], patience: float = 60) -> str:
    """Return the failure when Lambda gives these answers, all of which must be asked for."""
    with Stubber(client) as stub:
        for step in steps:
            if isinstance(step, str):
                stub.add_client_error("invoke", step, "said the test", 400)
            else:
                stub.add_response("invoke", step, {"FunctionName": f"{FUNCTION}:2", "Payload": '{"check": true}'})
        reason = first_request.failure(client, f"{FUNCTION}:2", patience)
        stub.assert_no_pending_responses()
    return reason


@pytest.mark.parametrize("code", sorted({*ERRORS, *MORE_THAT_IAM_SAYS}))
def test_what_passes_is_asked_again_and_what_does_not_is_reported(client: Any, code: str) -> None:
    if code in first_request.PASSING:
        assert asked(client, code, code, answer(200)) == ""
    else:
        assert code in asked(client, code)


def test_every_error_that_is_taken_to_pass_is_one_that_lambda_has() -> None:
    assert {*ERRORS, *MORE_THAT_IAM_SAYS} >= first_request.PASSING


def test_a_permission_to_read_that_has_not_spread_is_waited_for(client: Any) -> None:
    denied = json.dumps({"error": "table t: An error occurred (AccessDeniedException) when calling BatchGetItem"})
    assert asked(client, answer(500, denied), answer(503, "throttled"), answer(200)) == ""


def test_a_wrong_answer_is_reported_at_once(client: Any) -> None:
    wrong = json.dumps({"error": "table t has other vectors than the model was trained with"})
    assert "answers 500" in asked(client, answer(500, wrong))
    assert "answers 400" in asked(client, answer(400))


@pytest.mark.parametrize(
    "error", [ReadTimeoutError, ConnectTimeoutError, ConnectionClosedError, EndpointConnectionError]
)
def test_a_call_without_an_answer_is_made_again(
    client: Any, monkeypatch: pytest.MonkeyPatch, error: type[BotoCoreError]
) -> None:
    invoke, errors = client.invoke, [error(endpoint_url="https://lambda", error="cut")]

    def interrupted(**request: Any) -> Any:
        if errors:
            raise errors.pop()
        return invoke(**request)

    monkeypatch.setattr(client, "invoke", interrupted)
    assert asked(client, answer(200)) == ""
    assert errors == []


def test_a_version_that_does_not_start_is_reported_at_once_one_that_is_late_asked_again(client: Any) -> None:
    assert "No module named 'numpy'" in asked(client, crash("No module named 'numpy'"))
    assert asked(client, crash("2026-01-01 Task timed out after 29.00 seconds"), answer(200)) == ""


def test_after_the_deadline_the_last_reason_is_reported(client: Any) -> None:
    assert "TooManyRequestsException" in asked(client, "TooManyRequestsException", patience=-1)


def test_the_deadline_and_the_last_call_are_over_before_the_function_is() -> None:
    resources = template.read()["Resources"]
    longest = first_request.PATIENCE + first_request.CLIENT.read_timeout
    timeout = resources["FirstRequestFunction"]["Properties"]["Timeout"]
    assert longest + 5 <= timeout < resources["KimCnnFirstRequest"]["Properties"]["ServiceTimeout"]
    kim, sm = (resources[f"{prefix}FirstRequest"]["Properties"] for prefix in ("KimCnn", "SmCnn"))
    assert kim == sm | {"Version": {"Ref": "KimCnnFunction.Version"}}


@pytest.mark.parametrize(
    ("version", "before", "live", "expected"),
    [
        (2, 1, 1, False),  # an update
        (1, 2, 1, True),  # its rollback
        (1, None, 2, True),  # a rollback after `live` has moved, as when the other model fails
        (2, 2, 2, True),
        (2, 3, 1, True),  # a rollback after `rollback` had chosen version 1
        (1, None, None, False),  # the first deployment
    ],
)
def test_a_version_that_was_live_is_not_asked_again(
    client: Any, version: int, before: int | None, live: int | None, expected: bool
) -> None:
    event: dict[str, Any] = {"ResourceProperties": {"Version": f"{FUNCTION}:{version}"}}
    if before:
        event["OldResourceProperties"] = {"Version": f"{FUNCTION}:{before}"}
    with Stubber(client) as stub:
        if live:
            stub.add_response("get_alias", {"FunctionVersion": str(live)}, {"FunctionName": FUNCTION, "Name": "live"})
        else:
            stub.add_client_error("get_alias", "ResourceNotFoundException")
        assert first_request.was_live(client, event) is expected


def test_the_versions_of_another_function_say_nothing(client: Any) -> None:
    event = {
        "ResourceProperties": {"Version": f"{FUNCTION}:1"},
        "OldResourceProperties": {"Version": f"{FUNCTION}-old:7"},
    }
    with Stubber(client) as stub:
        stub.add_client_error("get_alias", "ResourceNotFoundException")
        assert not first_request.was_live(client, event)


@pytest.mark.parametrize("reason", ["", "x" * 9000, "\u00e9\u4e00" * 3000, '"\\' * 3000])
def test_the_answer_to_cloudformation_is_within_its_4096_bytes(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    sent: list[Any] = []
    open_url: Callable[[Any], None] = sent.append
    monkeypatch.setattr(first_request.urllib.request, "urlopen", open_url)
    monkeypatch.setattr(first_request, "outcome", lambda client, event: reason)
    identity = "arn:aws:cloudformation:us-east-1:111122223333:stack/" + "s" * 128 + "/" + "0" * 36
    event = {
        "StackId": identity,
        "RequestId": "0" * 36,
        "LogicalResourceId": "KimCnnFirstRequest",
        "ResponseURL": "http://s3",
    }
    first_request.handler(event, None)
    assert len(sent[0].data) <= 4096
    told = json.loads(sent[0].data)
    assert told["Status"] == ("FAILED" if reason else "SUCCESS")
    assert reason.startswith(told["Reason"])
    assert sent[0].get_header("Content-type") == "", "the URL is signed without one"


@pytest.mark.parametrize("answered", [{"statusCode": 200}, {"body": "x"}, []])
def test_whatever_happens_cloudformation_gets_an_answer(client: Any, answered: Any) -> None:
    event = {"RequestType": "Create", "ResourceProperties": {"Version": f"{FUNCTION}:1"}}
    with Stubber(client) as stub:
        stub.add_client_error("get_alias", "ResourceNotFoundException")
        stub.add_response("invoke", payload(answered))
        assert first_request.outcome(client, event).startswith("the new version can't be checked: ")


def test_a_deletion_asks_nothing(client: Any) -> None:
    with Stubber(client):
        assert first_request.outcome(client, {"RequestType": "Delete"}) == ""
