"""A stack as CloudFormation has it: read only, as SAM CLI changes it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from toolkit.cli import log
from toolkit.deployment.template import MODELS

POLL_SECONDS = 5  # seldom enough for CloudFormation not to throttle it


@dataclass(frozen=True)
class Stack:
    """A stack; `packages` has the S3 URI of the package of each model that was ever deployed."""

    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    packages: dict[str, str]
    tags: dict[str, str]


def find(client: Any, name: str) -> Stack | None:
    """Return the stack called `name`, None when there is none; wait while it is being changed."""
    while True:
        try:
            described = client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        status = described["StackStatus"]
        if status == "REVIEW_IN_PROGRESS":  # a change set was made for it, and never executed
            return None
        if not status.endswith("_IN_PROGRESS"):
            break
        log(f"{name}: waiting for the end of {status}")
        time.sleep(POLL_SECONDS)
    template = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    resources = (yaml_parse(template) if isinstance(template, str) else template)["Resources"]
    uris = {model: resources[f"{prefix}Function"]["Properties"].get("CodeUri") for model, prefix in MODELS.items()}
    return Stack(
        status,
        {item["ParameterKey"]: item["ParameterValue"] for item in described.get("Parameters", [])},
        {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])},
        {model: uri for model, uri in uris.items() if uri},
        {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])},
    )


def events(client: Any, name: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a stack, newest first; none when there is no such stack."""
    try:
        for found in client.get_paginator("describe_stack_events").paginate(StackName=name):
            yield from found["StackEvents"]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise


def first_failure(newest_first: Iterator[dict[str, Any]], seen: str | None) -> str | None:
    """Return which resource failed first after the event with the id `seen`, and why; None when none did."""
    first = None
    for event in newest_first:
        if event["EventId"] == seen:
            break
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            first = f"{event['LogicalResourceId']}: {reason}"
    return first
