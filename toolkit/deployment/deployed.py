"""A stack as CloudFormation has it. SAM CLI changes it; here it is read, and a rollback that failed is continued."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from toolkit.cli import CommandError, log
from toolkit.deployment.template import MODELS, parse

SETTLE_SECONDS = 10
POLL_SECONDS = 5  # seldom enough for CloudFormation not to throttle it


@dataclass(frozen=True)
class Stack:
    """A stack; `packages` has the S3 URI of the package of each model that was ever deployed."""

    name: str
    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]
    packages: dict[str, str]
    tags: dict[str, str]


def cloudformation(session: boto3.Session) -> Any:
    """Return a client that waits when CloudFormation throttles it, as it does when others ask much, too."""
    return session.client("cloudformation", config=Config(retries={"mode": "standard", "total_max_attempts": 10}))


def says_no_stack(error: ClientError) -> bool:
    """Return whether CloudFormation has no stack of the name it was asked for; only the message tells."""
    return "does not exist" in str(error)


def find(client: Any, name: str) -> Stack | None:
    """Return the stack called `name`, None when there is none; wait while it is being changed.

    Raises CommandError for a stack that was not made from template.yaml.
    """
    while True:
        try:
            described = client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if says_no_stack(error):
                return None
            raise
        status = described["StackStatus"]
        if status == "REVIEW_IN_PROGRESS":  # a change set was made for it, and never executed
            return Stack(name, status, {}, {}, {}, {})
        if not status.endswith("_IN_PROGRESS"):
            break
        log(f"{name}: waiting for the end of {status}")
        time.sleep(POLL_SECONDS)
    template = client.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
    resources = (parse(template) if isinstance(template, str) else template)["Resources"]
    functions = {model: resources.get(f"{prefix}Function") for model, prefix in MODELS.items()}
    if not all(functions.values()):
        raise CommandError(f"stack {name} does not have this project's functions; name another with --stack")
    uris = {model: function["Properties"].get("CodeUri") for model, function in functions.items()}
    return Stack(
        name,
        status,
        {item["ParameterKey"]: item["ParameterValue"] for item in described.get("Parameters", [])},
        {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])},
        {model: uri for model, uri in uris.items() if uri},
        {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])},
    )


def settled(client: Any, stack: Stack, values: dict[str, str]) -> Stack:
    """Return a stack that was just changed with what it has now: reads may lag behind, and have outputs from before.

    `values` are the parameters it was given. After some seconds it is returned as it is read.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    found: Stack | None = stack
    while found and not values.items() <= found.parameters.items() and time.monotonic() < deadline:
        time.sleep(1)
        found = find(client, stack.name)
    found = found or stack
    return replace(found, parameters=found.parameters | values)


def functions(client: Any, name: str, kind: str = "Function") -> dict[str, str]:
    """Return the names of the functions of a stack, by model; none when there is no such stack.

    Those of the API, or with the `kind` "Batch" those of batches.
    """
    try:
        resources = client.describe_stack_resources(StackName=name)["StackResources"]
    except ClientError as error:
        if says_no_stack(error):
            return {}
        raise
    there = [item for item in resources if item["ResourceStatus"] != "DELETE_COMPLETE"]  # which stay listed
    names = {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in there}
    return {model: found for model, prefix in MODELS.items() if (found := names.get(f"{prefix}{kind}"))}


def continue_rollback(client: Any, name: str) -> Stack | None:
    """End the rollback of a stack in UPDATE_ROLLBACK_FAILED, which can't be updated; return it as it is then.

    It leaves out the checks of the version before, which has served already.
    """
    skipped = set()
    for event in events(client, name):
        if event["ResourceStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS":  # where the rollback began
            break
        if event["ResourceStatus"] == "UPDATE_FAILED" and event["ResourceType"] == "Custom::FirstRequest":
            skipped.add(event["LogicalResourceId"])
    without = f", without {' and '.join(sorted(skipped))}" if skipped else ""
    log(f"{name}: continuing the rollback that failed{without}")
    client.continue_update_rollback(StackName=name, **({"ResourcesToSkip": sorted(skipped)} if skipped else {}))
    time.sleep(POLL_SECONDS)  # until the status is no longer the one before
    return find(client, name)


def events(client: Any, name: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a stack, newest first; none when there is no such stack."""
    try:
        for found in client.get_paginator("describe_stack_events").paginate(StackName=name):
            yield from found["StackEvents"]
    except ClientError as error:
        if not says_no_stack(error):
            raise


def newest_event(client: Any, name: str) -> str | None:
    """Return the id of the newest event of a stack, None when there is no such stack."""
    return next((event["EventId"] for event in events(client, name)), None)


class Changes:
    """What became of the resources of a stack, from now on."""

    def __init__(self, client: Any, name: str) -> None:
        """Begin after the newest event of the stack called `name`, which need not be there yet."""
        self.client, self.name = client, name
        self.seen = newest_event(client, name)
        self.any = False  # has a resource changed

    def log_new(self) -> None:
        """Log a line for each resource whose change has ended since the last call."""
        new = list(itertools.takewhile(lambda event: event["EventId"] != self.seen, events(self.client, self.name)))
        for event in reversed(new):
            self.seen = event["EventId"]
            resource, status = event["LogicalResourceId"], event["ResourceStatus"]
            if resource != self.name and status.endswith(("_COMPLETE", "_FAILED")):
                log(f"{status.replace('_', ' ').lower()}: {resource}")
                self.any = True


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


def failed_validation(client: Any, name: str) -> str | None:
    """Return what CloudFormation found wrong with the newest change set before executing it; None for nothing.

    The reason in the change set itself is but "The following hook(s)/validation failed: [AWS::EarlyValidation::…]".
    """
    try:
        change_sets = client.list_change_sets(StackName=name)["Summaries"]
    except ClientError:  # there is no stack when the first change set was refused
        return None
    newest = max(change_sets, key=lambda item: item["CreationTime"], default=None)
    if newest is None or "AWS::EarlyValidation" not in newest.get("StatusReason", ""):
        return None
    failed = client.describe_events(ChangeSetName=newest["ChangeSetId"], Filters={"FailedEvents": True})
    reasons = [
        f"{event.get('LogicalResourceId', name)}: {event['ValidationStatusReason']}"
        for event in failed["OperationEvents"]
        if "ValidationStatusReason" in event
    ]
    return "; ".join(reasons) or None
