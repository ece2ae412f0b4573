"""Check a new version before traffic moves to it: the function behind Custom::FirstRequest.

It runs in the stack that template.yaml describes and imports only what Lambda's runtime has.
"""

import json
import time
import urllib.request
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

CHECK = json.dumps({"check": True})  # the version then asks itself what its model file says (inference/check.py)
PATIENCE = 60  # seconds of retrying; with the last call's 40, well within this function's timeout of 110
PAUSE = 1  # second between tries
LONGEST_REASON = 1000  # characters; CloudFormation takes 4,096 bytes for the whole answer

CLIENT = Config(read_timeout=40, retries={"total_max_attempts": 1})

# Errors of Invoke that pass: a permission that has not spread yet, an account at its limit, a snapshot not ready yet.
PASSING = {
    "AccessDeniedException",
    "EC2ThrottledException",
    "ResourceConflictException",
    "ResourceNotFoundException",
    "ResourceNotReadyException",
    "ServiceException",
    "SnapStartNotReadyException",
    "SnapStartTimeoutException",
    "ThrottlingException",
    "TooManyRequestsException",
}


def failure(client: Any, version: str, patience: float = PATIENCE) -> str:
    """Return what is wrong with a function version (its ARN), or "" when it passes its check.

    What may pass is tried again for `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        reason, passing = _ask(client, version)
        if not reason or not passing or time.monotonic() + PAUSE > deadline:
            return reason
        time.sleep(PAUSE)


def _ask(client: Any, version: str) -> tuple[str, bool]:
    """Return what is wrong, "" for nothing, and whether that may pass."""
    try:
        called = client.invoke(FunctionName=version, Payload=CHECK)
    except (ConnectionError, HTTPClientError) as error:  # no connection; one that was cut, or had no answer in time
        return f"the new version can't be called: {error}", True
    except ClientError as error:
        return f"the new version can't be called: {error}", error.response["Error"]["Code"] in PASSING
    answer = json.load(called["Payload"])
    if "FunctionError" in called:
        reason = answer.get("errorMessage", str(answer))
        return f"the new version does not start: {reason}", "timed out" in reason  # as a first cold start may
    status, body = answer["statusCode"], answer["body"]
    if status == 200:
        return "", False
    return f"the new version answers {status}: {body}", status == 503 or "AccessDenied" in body


def was_live(client: Any, event: dict[str, Any]) -> bool:
    """Return whether the version in the event has served already, so that CloudFormation is going back to it.

    It may not pass its check now, when its table is gone, for one; the stack could not be updated any more then.
    Version numbers only grow.
    """
    function, _, number = event["ResourceProperties"]["Version"].rpartition(":")
    function_before, _, before = event.get("OldResourceProperties", {}).get("Version", "").rpartition(":")
    if function_before == function and int(number) < int(before):
        return True
    try:
        live = client.get_alias(FunctionName=function, Name="live")["FunctionVersion"]
    except ClientError:  # no such alias before the first deployment has ended, or no permission yet
        return False
    return int(number) <= int(live)


def outcome(client: Any, event: dict[str, Any]) -> str:
    """Return why the event of CloudFormation fails, "" when it succeeds; there is nothing to do for a deletion."""
    try:
        if event["RequestType"] == "Delete" or was_live(client, event):
            return ""
        return failure(client, event["ResourceProperties"]["Version"])
    except Exception as error:  # CloudFormation waits for an answer in any case
        return f"the new version can't be checked: {error}"


def handler(event: dict[str, Any], context: Any) -> None:
    """Tell CloudFormation whether the version in the event passes its check."""
    reason = outcome(boto3.client("lambda", config=CLIENT), event)
    answer = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason[:LONGEST_REASON],
        "PhysicalResourceId": event["LogicalResourceId"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    content = json.dumps(answer, ensure_ascii=False).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], content, {"Content-Type": ""}, method="PUT"))
