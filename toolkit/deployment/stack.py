"""A CloudFormation stack, changed through change sets: events as they come, and a failure's reason."""

import time
from collections import Counter
from typing import Any

import boto3
from botocore.exceptions import ClientError, WaiterError

from toolkit.cli import CommandError, log

POLL_SECONDS = 1.0


class Stack:
    """One stack by its name, which may not exist yet."""

    def __init__(self, session: boto3.Session, name: str):
        """Take the stack called `name` in the session's account and region."""
        self._client, self.name = session.client("cloudformation"), name

    def status(self) -> str | None:
        """Return the stack's status, None when there is no such stack."""
        try:
            status: str = self._describe(self.name)["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def exists(self) -> bool:
        """Tell whether the stack stands, so that it is to be updated and not created.

        A first deployment that failed leaves a stack that can only be removed; it is.
        """
        if self.status() == "ROLLBACK_COMPLETE":
            self.delete()
        return self.status() not in (None, "REVIEW_IN_PROGRESS")

    def template(self) -> str:
        """Return the template the stack was last given."""
        got = self._client.get_template(StackName=self.name, TemplateStage="Original")
        body: str = got["TemplateBody"]
        return body

    def parameters(self) -> dict[str, str]:
        """Return the values of the stack's parameters; none when there is no such stack."""
        if not self.exists():
            return {}
        parameters = self._describe(self.name).get("Parameters", [])
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in parameters}

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs."""
        outputs = self._describe(self.name).get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def deploy(self, template: str, parameters: dict[str, str]) -> None:
        """Create or update the stack; raise CommandError with the reason when it fails and is rolled back.

        A parameter that is not given keeps the value it has in the stack.
        """
        change_set = self._change_set(template, parameters)
        if change_set is None:
            log("nothing to change")
            return
        described = self._client.describe_change_set(ChangeSetName=change_set)
        actions = Counter(change["ResourceChange"]["Action"] for change in described["Changes"])
        log("changes: " + ", ".join(f"{count} to {action.lower()}" for action, count in sorted(actions.items())))
        stack_id = described["StackId"]
        seen = self._event_ids(stack_id)
        self._client.execute_change_set(ChangeSetName=change_set)
        failure = self._follow(stack_id, seen)
        status = self.status()
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            updated = status == "UPDATE_ROLLBACK_COMPLETE"
            left = "the version before goes on answering" if updated else "nothing was left running"
            raise CommandError(f"{failure or status}; {left}")

    def delete(self) -> None:
        """Remove the stack, if there is one; raise CommandError with the reason when that fails."""
        if self.status() is None:
            return
        stack_id = self._describe(self.name)["StackId"]
        seen = self._event_ids(stack_id)
        self._client.delete_stack(StackName=stack_id)
        failure = self._follow(stack_id, seen)
        if self.status() is not None:
            raise CommandError(f"the stack could not be removed: {failure}")
        log(f"removed stack {self.name}")

    def _describe(self, name_or_id: str) -> dict[str, Any]:
        stack: dict[str, Any] = self._client.describe_stacks(StackName=name_or_id)["Stacks"][0]
        return stack

    def _change_set(self, template: str, parameters: dict[str, str]) -> str | None:
        """Make a change set and wait for it; return its ARN, None when nothing would change."""
        values: list[dict[str, Any]] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ]
        exists = self.exists()
        if exists:
            kept = [name for name in self.parameters().keys() - parameters.keys() if f"\n  {name}:\n" in template]
            values += [{"ParameterKey": name, "UsePreviousValue": True} for name in kept]
        made = self._client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"up-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03}",
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateBody=template,
            Parameters=values,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        arn: str = made["Id"]
        try:
            waiter = self._client.get_waiter("change_set_create_complete")
            waiter.wait(ChangeSetName=arn, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": 300})
        except WaiterError:
            reason = self._client.describe_change_set(ChangeSetName=arn).get("StatusReason", "")
            self._client.delete_change_set(ChangeSetName=arn)
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return None
            raise CommandError(f"CloudFormation refused the template: {reason}") from None
        return arn

    def _follow(self, stack_id: str, seen: set[str]) -> str:
        """Show a stack's events until it is done; return the reason of the first resource that failed."""
        failure = ""
        while True:
            time.sleep(POLL_SECONDS)
            status = self._describe(stack_id)["StackStatus"]
            for event in self._events(stack_id):
                if event["EventId"] in seen:
                    continue
                seen.add(event["EventId"])
                what, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
                log(f"  {what:24} {event['LogicalResourceId']:22} {reason}".rstrip())
                if what.endswith("_FAILED") and not failure and "cancelled" not in reason:
                    failure = f"{event['LogicalResourceId']}: {reason}"
            if not status.endswith("_IN_PROGRESS"):
                return failure

    def _events(self, stack_id: str) -> list[dict[str, Any]]:
        """Return the stack's events, oldest first."""
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def _event_ids(self, stack_id: str) -> set[str]:
        return {event["EventId"] for event in self._events(stack_id)}
