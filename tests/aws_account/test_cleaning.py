"""The clean-up finds what runs made by name or by journal, whatever state it is in, and touches nothing else."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from tests.aws_account import cleaning
from tests.aws_account.cleaning import clean, left
from tests.aws_account.journal import Journal, Made, journals, new_run, run_of
from toolkit.cli import CommandError

RUN = "si-test-0a1b2c3d"
NOT_OF_A_RUN = ["si-test", "si-test-mine", "si-test-0a1b2c3d4e5f", "my-si-test-table"]
TABLE: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
TRUST = {"Version": "2012-10-17", "Statement": [{**ALLOW, "Principal": {"Service": "lambda.amazonaws.com"}}]}
POLICY = {"Version": "2012-10-17", "Statement": [{**ALLOW, "Resource": "*"}]}


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    """An account in this process, without what moto has not got here: imports, stacks, APIs."""
    nothing = dict.fromkeys(["stack", "api"], lambda session: iter(()))
    with mock_aws(), patch.object(cleaning, "_remove_import_logs"), patch.dict(cleaning.LISTINGS, nothing):
        yield boto3.Session()


def make_one_of_each(session: boto3.Session, name: str) -> None:
    """Make a function with versions, a role with policies, a table, a bucket with versions, logs, and what alarms."""
    package = io.BytesIO()
    zipfile.ZipFile(package, "w").close()
    iam = session.client("iam")
    role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=f"{name}-role", PolicyName="p", PolicyDocument=json.dumps(POLICY))
    arn = iam.create_policy(PolicyName=f"{name}-reads", PolicyDocument=json.dumps(POLICY))["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(POLICY))
    iam.attach_role_policy(RoleName=f"{name}-role", PolicyArn=arn)
    session.client("lambda").create_function(
        FunctionName=f"{name}-function", Role=role, Runtime="python3.13", Handler="h.h", Publish=True,
        Code={"ZipFile": package.getvalue()},
    )  # fmt: skip
    session.client("dynamodb").create_table(TableName=f"{name}-words", DeletionProtectionEnabled=True, **TABLE)
    session.client("logs").create_log_group(logGroupName=f"/aws/vendedlogs/{name}-api")
    metric = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    session.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{name}-Latency", Threshold=1, ComparisonOperator="GreaterThanThreshold", **metric
    )
    session.client("cloudwatch").put_dashboard(DashboardName=f"{name}-here", DashboardBody='{"widgets": []}')
    session.client("sns").create_topic(Name=f"{name}-AlarmMails")
    s3 = session.client("s3")
    s3.create_bucket(Bucket=f"{name}-files")
    s3.put_bucket_versioning(Bucket=f"{name}-files", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=f"{name}-files", Key="package", Body=b"zip")
    s3.delete_object(Bucket=f"{name}-files", Key="package")
    s3.create_multipart_upload(Bucket=f"{name}-files", Key="half")


def all_names(session: boto3.Session) -> set[str]:
    return {name for names in cleaning.LISTINGS.values() for name in names(session)}


def test_everything_with_the_name_of_a_run_goes_and_everything_else_stays(session: boto3.Session) -> None:
    for name in NOT_OF_A_RUN:
        session.client("dynamodb").create_table(TableName=name, **TABLE)
    make_one_of_each(session, "precious")
    before = all_names(session)
    make_one_of_each(session, RUN)
    assert {thing.kind for thing in left(session)} == cleaning.LISTINGS.keys() - {"stack", "api"}
    clean(session, pause=0)
    assert left(session) == []
    assert all_names(session) == before
    clean(session, pause=0)


def test_what_a_listing_does_not_show_yet_is_removed_by_the_journal(session: boto3.Session) -> None:
    session.client("dynamodb").create_table(TableName=f"{RUN}-words", **TABLE)
    with patch.object(cleaning, "left", return_value=[]):
        clean(session, [Made("table", f"{RUN}-words"), Made("bucket", f"{RUN}-never-made")], pause=0)
    assert session.client("dynamodb").list_tables()["TableNames"] == []


class Stacks:
    """A stack in a state that no emulator brings about."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.deleted: list[dict[str, Any]] = []

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {"Stacks": [{"StackStatus": self.states.pop(0) if len(self.states) > 1 else self.states[0]}]}

    def describe_stack_resources(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        states = {"PageBucket": "DELETE_FAILED", "Api": "DELETE_COMPLETE"}
        return {"StackResources": [{"LogicalResourceId": k, "ResourceStatus": v} for k, v in states.items()]}

    def delete_stack(self, **arguments: Any) -> None:
        self.deleted.append(arguments)


@pytest.mark.parametrize(
    ("states", "deletions"),
    [
        (["REVIEW_IN_PROGRESS", "DELETE_COMPLETE"], [{}]),
        (["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"], [{}]),
        (["ROLLBACK_COMPLETE", "DELETE_FAILED", "DELETE_COMPLETE"], [{}, {"RetainResources": ["PageBucket"]}]),
    ],
)
def test_a_stack_in_any_state_is_deleted(states: list[str], deletions: list[dict[str, Any]]) -> None:
    stacks = Stacks(*states)
    with (
        patch.object(cleaning, "client", return_value=stacks),
        patch.object(cleaning, "left", return_value=[]),
        patch.object(cleaning, "_remove_import_logs"),
        patch.dict(cleaning.LISTINGS, bucket=lambda session: iter(())),
    ):
        clean(boto3.Session(), [Made("stack", RUN)], pause=0)
    assert stacks.deleted == [{"StackName": RUN, **more} for more in deletions]


def test_what_can_not_be_removed_is_named(session: boto3.Session) -> None:
    session.client("dynamodb").create_table(TableName=f"{RUN}-words", **TABLE)
    waiting = {"table": lambda session, name: "waiting for the end of CREATING"}
    with patch.dict(cleaning.REMOVERS, waiting), pytest.raises(CommandError, match=f"still there: table {RUN}-words"):
        clean(session, patience=0, pause=0)


def test_a_journal_survives_a_kill_in_the_middle_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.begin(new_run(), "123456789012", "eu-west-1")
    journal.note("table", f"{journal.run}-words")
    journal.file.write('{"kind": "buck')
    journal.file.close()
    assert list(journals("123456789012", "us-east-1")) == []
    (found,) = journals("123456789012", "eu-west-1")
    assert found.made == [Made("table", f"{journal.run}-words")]
    assert found.lock()
    another = Journal(found.path)
    assert not another.lock()
    another.file.close()
    found.remove()
    assert list(journals("123456789012", "eu-west-1")) == []


def test_only_names_of_runs_are_of_a_run() -> None:
    assert run_of(f"arn:aws:dynamodb:us-east-1:1:table/{RUN}-words") == RUN
    assert [run_of(name) for name in NOT_OF_A_RUN] == [None] * len(NOT_OF_A_RUN)
