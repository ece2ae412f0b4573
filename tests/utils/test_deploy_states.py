"""What utils/deploy.py finds out before it changes anything, and how it gets a stack into a state to be changed."""

import argparse
import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from toolkit.cli import CommandError
from toolkit.deployment import deployed, page, update
from toolkit.deployment.deployed import Stack
from toolkit.deployment.sam import Sam
from utils import deploy

OPTIONS = argparse.Namespace(stack="s", bucket=None, region=None, profile=None)


def test_a_table_whose_settings_change_can_be_read() -> None:
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_response("describe_table", {"Table": {"TableStatus": "UPDATING"}}, {"TableName": "t"})
        update.check_tables(client, {"t"})


@pytest.mark.parametrize(
    ("code", "complaint"), [("404", "no bucket b; make it"), ("403", "not of account 111122223333")]
)
def test_a_bucket_that_is_not_the_accounts_is_refused(code: str, complaint: str) -> None:
    clients = {"sts": boto3.client("sts"), "s3": boto3.client("s3")}
    with Stubber(clients["sts"]) as sts, Stubber(clients["s3"]) as s3:
        sts.add_response("get_caller_identity", {"Account": "111122223333"})
        asked = {"Bucket": "b", "ExpectedBucketOwner": "111122223333"}
        s3.add_client_error("head_bucket", code, http_status_code=int(code), expected_params=asked)

        class Session:
            client = staticmethod(clients.__getitem__)

        with pytest.raises(CommandError, match=complaint):
            deploy.check_bucket(Session(), "b")


@pytest.mark.parametrize(("most", "warned"), [(10, True), (49, True), (50, False), (1000, False), (None, False)])
def test_an_account_that_runs_few_functions_at_once_is_told(
    capsys: pytest.CaptureFixture[str], most: int | None, warned: bool
) -> None:
    client: Any = boto3.client("lambda")
    with Stubber(client) as stub:
        if most is None:
            stub.add_client_error("get_account_settings", "AccessDeniedException")
        else:
            stub.add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": most}})
        deploy.warn_of_quota(client)
    assert (f"this account runs {most} functions at once" in capsys.readouterr().err) is warned


def test_a_snapshot_that_fails_names_what_shows_the_cause() -> None:
    """The reason is CloudFormation's, from github.com/serverless/serverless issue 13847."""
    reason = (
        "KimCnnFunctionVersion1: Resource of type 'AWS::Lambda::Version' with identifier 'arn:aws:lambda:us-east-1:"
        "111122223333:function:kim:2' did not stabilize. Status Reason is An error occurred during function "
        "initialization."
    )
    assert update.hint(reason, {"SnapStart": "on"}) == " (deploy once with --parameter SnapStart=off to see why)"
    assert update.hint(reason, {"SnapStart": "off"}) == ""
    assert update.hint("KimCnnFirstRequest: the new version answers 500", {"SnapStart": "on"}) == ""


def test_code_that_is_not_that_of_the_package_is_found(tmp_path: Path) -> None:
    """Packages in a bucket that others can write to may be replaced before Lambda reads them."""
    package = tmp_path / "kim_cnn.zip"
    package.write_bytes(b"ours")
    ours = base64.b64encode(hashlib.sha256(b"ours").digest()).decode()
    client: Any = boto3.client("lambda")
    functions = {"kim_cnn": "kim", "sm_cnn": "sm"}
    packages = {"kim_cnn": str(package), "sm_cnn": "s3://bucket/from-a-deployment-before"}
    for served, found in ((ours, []), (ours.lower(), ["kim_cnn"])):
        with Stubber(client) as stub:
            asked = {"FunctionName": "kim", "Qualifier": "candidate"}
            stub.add_response("get_function_configuration", {"CodeSha256": served}, asked)
            assert update.swapped(client, functions, packages) == found


class States:
    """A stack that is in one state after another, and a SAM CLI that is only called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *statuses: str | None) -> None:
        self.statuses = list(statuses)
        self.done: list[str] = []
        monkeypatch.setattr(deployed, "newest_event", lambda client, name: None)
        monkeypatch.setattr(deployed, "find", lambda client, name: self._next())
        monkeypatch.setattr(deployed, "continue_rollback", self._continue)
        monkeypatch.setattr(Sam, "delete", self._delete)

    def _continue(self, client: Any, name: str) -> Stack | None:
        self.done.append("continue")
        return self._next()

    def _delete(self, watch: Any) -> bool:
        self.done.append("delete")
        return True

    def _next(self) -> Stack | None:
        status = self.statuses.pop(0)
        return Stack("s", status, {}, {}, {}, {}) if status else None


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_whole_stack_is_updated(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    states = States(monkeypatch, status)
    stack = update.make_updatable(None, Sam("s"))
    assert stack and stack.status == status
    assert states.done == []


@pytest.mark.parametrize("status", [None, "REVIEW_IN_PROGRESS"])
def test_a_stack_that_has_nothing_yet_is_made(monkeypatch: pytest.MonkeyPatch, status: str | None) -> None:
    states = States(monkeypatch, status)
    assert update.make_updatable(None, Sam("s")) is None
    assert states.done == []


@pytest.mark.parametrize("status", ["CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"])
def test_what_a_first_deployment_left_is_removed(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    states = States(monkeypatch, status, None)
    assert update.make_updatable(None, Sam("s")) is None
    assert states.done == ["delete"]


def test_what_can_not_be_removed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    States(monkeypatch, "ROLLBACK_FAILED", "DELETE_FAILED")
    with pytest.raises(CommandError, match="can't be removed"):
        update.make_updatable(None, Sam("s"))


def test_a_rollback_that_failed_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    states = States(monkeypatch, "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE")
    stack = update.make_updatable(None, Sam("s"))
    assert stack and stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert states.done == ["continue"]


@pytest.mark.parametrize(
    ("statuses", "help"),
    [
        (["UPDATE_FAILED"], "rollback-stack --stack-name s"),
        (["DELETE_FAILED"], "see its events, then run `down`"),
        (["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED"], "is UPDATE_ROLLBACK_FAILED; see its events"),
    ],
)
def test_a_stack_in_another_state_says_what_helps(
    monkeypatch: pytest.MonkeyPatch, statuses: list[str], help: str
) -> None:
    States(monkeypatch, *statuses)
    with pytest.raises(CommandError, match=help):
        update.make_updatable(None, Sam("s"))


@pytest.mark.parametrize("command", [deploy.up, deploy.urls, deploy.rollback, deploy.down])
def test_a_stack_of_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    client = boto3.client("cloudformation")
    monkeypatch.setattr(deployed, "cloudformation", lambda session: client)
    stack = {"StackName": "s", "StackStatus": "CREATE_COMPLETE", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    template = "Resources: {KimCnnFunction: {Type: AWS::Lambda::Function, Properties: {Code: !Ref Package}}}"
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", {"Stacks": [stack]})
        stub.add_response("get_template", {"TemplateBody": template})
        with pytest.raises(CommandError, match="stack s does not have this project's functions; name another"):
            command(boto3.Session(), OPTIONS)


def test_down_removes_a_stack_that_was_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation")
    monkeypatch.setattr(deployed, "cloudformation", lambda session: client)
    stack = {"StackName": "s", "StackStatus": "REVIEW_IN_PROGRESS", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": ANY})
        stub.add_response("delete_stack", {}, {"StackName": "s"})
        deploy.down(boto3.Session(), OPTIONS)
        stub.assert_no_pending_responses()


def test_the_page_of_a_bucket_with_versions_is_cleared_whole() -> None:
    client: Any = boto3.client("s3")
    versions = {
        "Versions": [{"Key": "index.html", "VersionId": "v"}],
        "DeleteMarkers": [{"Key": "old", "VersionId": "m"}],
    }
    with Stubber(client) as stub:
        stub.add_response("list_object_versions", versions)
        for key, version in (("index.html", "v"), ("old", "m")):
            where = {"Bucket": "b", "ExpectedBucketOwner": "123456789012"}
            stub.add_response("delete_object", {}, {"Key": key, "VersionId": version, **where})
        page.clear(client, "b", "123456789012")
        stub.assert_no_pending_responses()


def test_each_resource_is_named_once_when_its_change_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    happened = ["s CREATE_IN_PROGRESS", "Api CREATE_IN_PROGRESS", "Api CREATE_COMPLETE", "Role CREATE_FAILED"]
    newest_first: list[dict[str, Any]] = []

    class Client:
        def get_paginator(self, name: str) -> Any:
            return self

        def paginate(self, **stack: str) -> Any:
            return [{"StackEvents": newest_first}]

    changes = deployed.Changes(Client(), "s")
    for number, line in enumerate(happened):
        resource, status = line.split()
        event = {"EventId": str(number), "LogicalResourceId": resource, "ResourceStatus": status}
        newest_first.insert(0, event)
        if number % 2:
            changes.log_new()
    assert capsys.readouterr().err.splitlines() == ["create complete: Api", "create failed: Role"]
