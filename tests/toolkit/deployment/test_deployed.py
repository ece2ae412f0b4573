"""A stack as CloudFormation tells of it: what it is in, why it failed, how it gets out."""

import itertools
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


def event(name: str, kind: str, status: str) -> dict[str, Any]:
    return {**resource(name, kind, status), "StackId": "s", "StackName": "s", "EventId": f"{name}{status}"}


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
    newest_first = [
        event("s", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_FAILED"),
        event("KimCnnFunction", "AWS::Lambda::Function", "UPDATE_FAILED"),
        event("KimCnnFirstRequest", "Custom::FirstRequest", "UPDATE_FAILED"),
        event("s", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_IN_PROGRESS"),
        event("SmCnnFirstRequest", "Custom::FirstRequest", "UPDATE_FAILED"),
    ]
    with Stubber(client) as stub:
        stub.add_response("describe_stack_events", {"StackEvents": newest_first})
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


@pytest.mark.parametrize(("reads", "page"), [(["false", "true"], "new"), (["false"] * 4, "old")])
def test_a_stack_that_is_read_as_it_was_is_read_again_for_a_while(
    client: Any, monkeypatch: pytest.MonkeyPatch, reads: list[str], page: str
) -> None:
    monkeypatch.setattr(deployed.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(deployed.time, "monotonic", itertools.count(0, deployed.SETTLE_SECONDS / 3).__next__)
    stack = deployed.Stack("s", "UPDATE_COMPLETE", {"Page": "false"}, {"PageBucket": "old"}, {}, {})
    with Stubber(client) as stub:
        for value in reads:
            found = described("UPDATE_COMPLETE")
            found["Stacks"][0]["Parameters"] = [{"ParameterKey": "Page", "ParameterValue": value}]
            outputs = {"true": "new", "false": "old"}
            found["Stacks"][0]["Outputs"] = [{"OutputKey": "PageBucket", "OutputValue": outputs[value]}]
            stub.add_response("describe_stacks", found)
            template(stub)
        settled = deployed.settled(client, stack, {"Page": "true"})
    assert (settled.parameters["Page"], settled.outputs["PageBucket"]) == ("true", page)


def test_throttling_is_waited_out() -> None:
    retries = deployed.cloudformation(boto3.Session()).meta.config.retries
    assert retries["mode"] == "standard"
    assert retries["total_max_attempts"] == 10
