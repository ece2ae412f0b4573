"""Send a new version its first request before traffic moves to it: the function behind Custom::FirstRequest.

It runs in the stack that template.yaml describes and imports only what Lambda's runtime has.
"""

import json
import time
import urllib.request
from typing import Any

import boto3
from botocore.config import Config

PATIENT = Config(read_timeout=100, retries={"total_max_attempts": 1})


def failure(client: Any, version: str, event: str) -> str:
    """Return what is wrong with the answer of the function version to the event, or "" when it is right."""
    for _ in range(90):
        try:
            called = client.invoke(FunctionName=version, Payload=event)
            break
        except client.exceptions.ResourceConflictException as error:
            if "Pending" not in str(error):  # its snapshot is still being taken
                raise
            time.sleep(1)
    answer = json.load(called["Payload"])
    if "FunctionError" in called:
        return f"the new version does not start: {answer.get('errorMessage', answer)}"
    if answer["statusCode"] != 200:
        return f"the new version answers {answer['statusCode']}: {answer['body']}"
    return ""


def handler(event: dict[str, Any], context: Any) -> None:
    """Tell CloudFormation whether the version in the event answers; there is nothing to do when it is deleted."""
    reason = ""
    if event["RequestType"] != "Delete":
        properties = event["ResourceProperties"]
        try:
            reason = failure(boto3.client("lambda", config=PATIENT), properties["Version"], properties["Event"])
        except Exception as error:  # whatever it is, CloudFormation waits for an answer
            reason = f"the new version can't be called: {error}"
    answer = {
        "Status": "FAILED" if reason else "SUCCESS",
        "Reason": reason,
        "PhysicalResourceId": event["LogicalResourceId"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request)
