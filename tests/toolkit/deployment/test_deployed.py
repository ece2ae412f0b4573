"""A stack as CloudFormation tells of it: what it is in, why it failed, how it gets out."""

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from toolkit.deployment import deployed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def client() -> Any:
    return boto3.client("cloudformation")


def described(status: str) -> dict[str, Any]:
    return {"Stacks": [{"StackName": "s", "StackStatus": status, "CreationTime": NOW}]}


def resource(name: str, kind: str, status: str) -> dict[str, Any]:
    return {"LogicalResourceId": name, "ResourceType": kind, "ResourceStatus": status, "Timestamp": NOW}


def template(stub: Stubber) -> None:
    functions: dict[str, Any] = {f"{model}Function": {"Properties": {}} for model in ("SmCnn", "KimCnn")}
    stub.add_response("get_template", {"TemplateBody": json.dumps({"Resources": functions})})


def test_a_change_under_way_is_waited_for(
    client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deployed, "POLL_SECONDS", 0)
    with Stubber(client) as stub:
        for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"):
            stub.add_response("describe_stacks", described(status))
        template(stub)
        stack = deployed.find(client, "s")
    assert stack and stack.status == "UPDATE_COMPLETE"
    assert "s: waiting for the end of UPDATE_IN_PROGRESS" in capsys.readouterr().err


def test_functions_that_are_gone_stay_listed_and_are_left_out(client: Any) -> None:
    resources = [
        {**resource("KimCnnFunction", "AWS::Lambda::Function", "DELETE_COMPLETE"), "PhysicalResourceId": "kim"},
        {**resource("SmCnnFunction", "AWS::Lambda::Function", "UPDATE_COMPLETE"), "PhysicalResourceId": "sm"},
    ]
    with Stubber(client) as stub:
        stub.add_response("describe_stack_resources", {"StackResources": resources})
        assert deployed.functions(client, "s") == {"sm_cnn": "sm"}


def test_a_rollback_that_failed_is_continued_without_the_checks(
    client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deployed, "POLL_SECONDS", 0)
    resources = [
        resource("KimCnnFirstRequest", "Custom::FirstRequest", "UPDATE_FAILED"),
        resource("SmCnnFirstRequest", "Custom::FirstRequest", "UPDATE_COMPLETE"),
        resource("KimCnnFunction", "AWS::Lambda::Function", "UPDATE_FAILED"),
    ]
    with Stubber(client) as stub:
        stub.add_response("describe_stack_resources", {"StackResources": resources})
        skipped = {"StackName": "s", "ResourcesToSkip": ["KimCnnFirstRequest"]}
        stub.add_response("continue_update_rollback", {}, skipped)
        stub.add_response("describe_stacks", described("UPDATE_ROLLBACK_COMPLETE"))
        template(stub)
        stack = deployed.continue_rollback(client, "s")
        stub.assert_no_pending_responses()
    assert stack and stack.status == "UPDATE_ROLLBACK_COMPLETE"
    assert "continuing the rollback that failed, without KimCnnFirstRequest" in capsys.readouterr().err


def test_early_validation_is_told_by_its_findings(client: Any) -> None:
    reason = "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot …"
    summary = {"ChangeSetId": "arn:aws:cloudformation:us-east-1:111122223333:changeSet/c/1", "CreationTime": NOW}
    finding = {
        "EventId": "1", "EventType": "VALIDATION_ERROR", "LogicalResourceId": "PageBucket",
        "ValidationStatusReason": "#/BucketName: already exists",
    }  # fmt: skip
    with Stubber(client) as stub:
        stub.add_response("list_change_sets", {"Summaries": [{**summary, "StatusReason": reason}]})
        asked = {"ChangeSetName": summary["ChangeSetId"], "Filters": {"FailedEvents": True}}
        stub.add_response("describe_events", {"OperationEvents": [finding]}, asked)
        assert deployed.failed_validation(client, "s") == "PageBucket: #/BucketName: already exists"


def test_another_refusal_of_a_change_set_needs_no_second_look(client: Any) -> None:
    summary = {"ChangeSetId": "arn:aws:cloudformation:us-east-1:111122223333:changeSet/c/1", "CreationTime": NOW}
    with Stubber(client) as stub:
        stub.add_response("list_change_sets", {"Summaries": [{**summary, "StatusReason": "No updates"}]})
        assert deployed.failed_validation(client, "s") is None


def test_throttling_is_waited_out() -> None:
    retries = deployed.cloudformation(boto3.Session()).meta.config.retries
    assert retries["mode"] == "standard"
    assert retries["total_max_attempts"] == 10
