"""The rules that depend on what came before: each refuses what AWS refuses, and for as long as AWS does."""

import time
from typing import Any

import pytest

from tests.aws_strict import rules
from tests.aws_strict.call import ADMINISTRATOR, Call, History


def made(operation: str, ago: float = 0, caller: str = ADMINISTRATOR, status: int = 200, **fields: Any) -> Call:
    """Return a call of an operation, some seconds ago."""
    call = Call("POST", "/", {}, b"", time=time.monotonic() - ago, status=status)
    call.operation, call.caller, call.fields, call.service = operation, caller, fields, fields.pop("service", "")
    return call


def refused(rule: rules.Rule, call: Call, *past: Call, client: Any = None) -> str | None:
    history = History()
    history.calls += past
    answer = rule(call, history, client)
    return answer.content.decode() if answer else None


def named(**fields: Any) -> dict[str, Any]:
    return {"service": "s3", **fields}


@pytest.mark.parametrize(("ago", "complaint"), [(0.5, "Throttling"), (2, None)])
def test_more_than_two_looks_at_the_events_a_second(ago: float, complaint: str | None) -> None:
    looks = [made("DescribeStackEvents", ago) for _ in range(2)]
    content = refused(rules.events_asked_too_often, made("DescribeStackEvents"), *looks)
    assert content is None if complaint is None else complaint in (content or "")


def test_a_stack_has_its_status_from_before_for_a_moment() -> None:
    before, ask = made("DescribeStacks", 9, StackName="s"), made("DescribeStacks", StackName="s")
    before.content = b"CREATE_COMPLETE"
    rule = rules.status_as_it_was
    assert refused(rule, ask, before, made("ExecuteChangeSet", 0.1)) == "CREATE_COMPLETE"
    assert refused(rule, ask, before, made("ExecuteChangeSet", rules.LAG + 1)) is None
    assert refused(rule, ask, before) is None


@pytest.mark.parametrize(
    ("status", "takes"),
    [
        ("UPDATE_COMPLETE", True), ("UPDATE_ROLLBACK_COMPLETE", True), ("REVIEW_IN_PROGRESS", True), (None, True),
        ("UPDATE_IN_PROGRESS", False), ("UPDATE_ROLLBACK_FAILED", False), ("ROLLBACK_COMPLETE", False),
    ],
)  # fmt: skip
def test_a_stack_takes_a_change_set_in_some_states_only(
    monkeypatch: pytest.MonkeyPatch, status: str | None, takes: bool
) -> None:
    monkeypatch.setattr(rules, "status_of", lambda name, client: status)
    content = refused(rules.change_of_a_stack_that_can_not_be_updated, made("CreateChangeSet", StackName="s"))
    assert content is None if takes else f"is in {status} state and can not be updated" in (content or "")


def test_a_permission_takes_time_to_spread_and_then_holds() -> None:
    rule, ask = rules.invoke_before_the_permission_has_spread, made("Invoke", caller="role", FunctionName="f")
    first = made("Invoke", rules.SPREAD + 1, caller="role", status=403, FunctionName="f")
    assert "lambda:InvokeFunction" in (refused(rule, ask) or "")
    assert "lambda:InvokeFunction" in (refused(rule, ask, first, made("ExecuteChangeSet", 1)) or "")
    assert refused(rule, ask, made("ExecuteChangeSet", 9), first) is None
    assert refused(rule, made("Invoke", FunctionName="f")) is None


def test_a_table_that_was_read_before_stays_readable() -> None:
    def read(table: str, ago: float = 0) -> Call:
        return made("BatchGetItem", ago, caller="role", RequestItems={table: {}})

    rule = rules.read_before_the_permission_has_spread
    assert "dynamodb:BatchGetItem" in (refused(rule, read("new"), read("old", 9)) or "")
    assert refused(rule, read("old"), read("old", 9)) is None


def test_the_first_call_of_a_function_meets_an_account_at_its_limit() -> None:
    rule, ask = rules.account_at_its_concurrency, made("Invoke", caller="role", FunctionName="f:2")
    assert "Rate Exceeded" in (refused(rule, ask, made("Invoke", caller="role", FunctionName="g:2")) or "")
    assert refused(rule, ask, made("Invoke", caller="role", status=429, FunctionName="f:1")) is None


def test_buckets_and_tables_take_time_to_come_and_go() -> None:
    create, delete = made("CreateBucket", **named(Bucket="b")), made("DeleteBucket", 1, **named(Bucket="b"))
    assert "OperationAborted" in (refused(rules.bucket_name_not_free, create, delete) or "")
    assert refused(rules.bucket_name_not_free, create) is None
    policy, block = made("PutBucketPolicy", **named(Bucket="b")), made("PutPublicAccessBlock", 1, **named(Bucket="b"))
    assert "AccessDenied" in (refused(rules.policy_right_after_the_public_access_block, policy, block) or "")
    assert refused(rules.policy_right_after_the_public_access_block, policy) is None
    describe, table = made("DescribeTable", TableName="t"), made("CreateTable", 0.5, TableName="t")
    assert "ResourceNotFoundException" in (refused(rules.table_not_there_yet, describe, table) or "")
    assert refused(rules.table_not_there_yet, describe, made("CreateTable", 2, TableName="t")) is None


def test_an_expected_owner_is_held_to() -> None:
    theirs, ours = (made("HeadBucket", **named(Bucket=name)) for name in ("strangers-b", "b"))
    for call in (theirs, ours):
        call.headers["x-amz-expected-bucket-owner"] = "000000000000"
    assert "AccessDenied" in (refused(rules.bucket_of_another, theirs) or "")
    assert refused(rules.bucket_of_another, ours) is None


def test_a_new_api_does_not_know_its_routes_at_first() -> None:
    ask = made("CallApi", ApiId="a")
    assert "Not Found" in (refused(rules.routes_not_in_service_yet, ask) or "")
    assert refused(rules.routes_not_in_service_yet, ask, made("CallApi", 2, status=404, ApiId="a")) is None


def test_a_new_function_url_lets_nobody_in_at_first() -> None:
    ask = made("CallUrl", UrlId="a")
    assert "Forbidden" in (refused(rules.url_open_to_nobody_yet, ask) or "")
    assert refused(rules.url_open_to_nobody_yet, ask, made("CallUrl", 2, status=403, UrlId="a")) is None
