"""Remove from an account all that runs made, whatever state it is in, and look whether anything is left.

What a run made is known by its name: `si-test-` and eight hexadecimal digits are in it. Journals add what a listing may
not show yet. Everything here may be repeated, and nothing else in the account is touched.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.aws_account.journal import PREFIX, Made, run_of
from toolkit.cli import CommandError, log

PATIENT = Config(retries={"mode": "standard", "total_max_attempts": 10})
IMPORT_LOGS = "/aws-dynamodb/imports"  # DynamoDB's own group of the account, with streams of each import
GONE = (
    "does not exist", "NoSuchBucket", "NoSuchEntity", "ResourceNotFoundException", "NotFoundException",
)  # fmt: skip
PASSING = ("ResourceInUseException", "OperationAborted", "BucketNotEmpty", "can not be deleted", "cannot be deleted",
           "ConflictException", "OperationConflict", "DeleteConflict", "TooManyRequestsException")  # fmt: skip

# How to list each kind of thing by name. Stacks come first: deleting one deletes most of the rest.
Names = Callable[[boto3.Session], Iterator[str]]


def client(session: boto3.Session, service: str) -> Any:
    """Return a client that waits and tries again when it is throttled."""
    return session.client(service, config=PATIENT)


def _listing(service: str, operation: str, items: str, name: str, **arguments: Any) -> Names:
    def names(session: boto3.Session) -> Iterator[str]:
        for page in client(session, service).get_paginator(operation).paginate(**arguments):
            for item in page.get(items, []):
                yield item if isinstance(item, str) else item[name]

    return names


def _stacks(session: boto3.Session) -> Iterator[str]:
    for page in client(session, "cloudformation").get_paginator("list_stacks").paginate():
        for stack in page["StackSummaries"]:
            if stack["StackStatus"] != "DELETE_COMPLETE":
                yield stack["StackName"]


def _buckets(session: boto3.Session) -> Iterator[str]:
    yield from (bucket["Name"] for bucket in client(session, "s3").list_buckets()["Buckets"])


LISTINGS: dict[str, Names] = {
    "stack": _stacks,
    "function": _listing("lambda", "list_functions", "Functions", "FunctionName"),
    "api": _listing("apigatewayv2", "get_apis", "Items", "Name"),
    "role": _listing("iam", "list_roles", "Roles", "RoleName"),
    "policy": _listing("iam", "list_policies", "Policies", "PolicyName", Scope="Local"),
    "table": _listing("dynamodb", "list_tables", "TableNames", ""),
    "bucket": _buckets,
    "log group": _listing(
        "logs", "describe_log_groups", "logGroups", "logGroupName", logGroupNamePattern=PREFIX
    ),
    "alarm": _listing("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "dashboard": _listing("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "topic": _listing("sns", "list_topics", "Topics", "TopicArn"),
}  # fmt: skip


def left(session: boto3.Session) -> list[Made]:
    """Return everything in the account that a run made, as the services list it now."""
    return [
        Made(kind, name) for kind, names in LISTINGS.items() for name in sorted(set(names(session))) if run_of(name)
    ]


def clean(session: boto3.Session, journal: Iterable[Made] = (), patience: float = 1800.0, pause: float = 5.0) -> None:
    """Remove everything that runs made, and what the journal names, until nothing is left.

    Tries again every `pause` seconds what can't be removed yet: a table that is being imported, a stack that is being
    changed. Raises CommandError with what is left after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    noted = list(dict.fromkeys(journal))
    said: dict[Made, str] = {}
    while found := list(dict.fromkeys([*noted, *left(session)])):
        # What a stack holds goes with it: no hand in it before it is gone.
        now = [thing for thing in found if thing.kind == "stack"] or found
        waiting = {thing: reason for thing in now if (reason := _remove(session, thing))}
        for thing, reason in waiting.items():
            if said.get(thing) != reason:
                log(f"{thing.kind} {thing.name}: {reason}")
        said, noted = waiting, [thing for thing in noted if thing in waiting or thing not in now]
        if waiting and time.monotonic() > deadline:
            listed = ", ".join(f"{thing.kind} {thing.name}" for thing in waiting)
            raise CommandError(f"still there: {listed}; make test-aws-clean tries again")
        if waiting:
            time.sleep(pause)
    _remove_import_logs(session)


def _remove(session: boto3.Session, thing: Made) -> str:
    """Remove a thing; return why it can't be removed yet, "" when it is gone or on its way."""
    try:
        return REMOVERS[thing.kind](session, thing.name) or ""
    except ClientError as error:
        if any(text in str(error) for text in GONE):
            return ""
        if any(text in str(error) for text in PASSING):
            return " ".join(str(error).split())
        raise


def _remove_stack(session: boto3.Session, name: str) -> str:
    cloudformation = client(session, "cloudformation")
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    status = stack["StackStatus"]
    if status == "DELETE_COMPLETE":
        return ""
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        return f"waiting for the end of {status}"
    for bucket in LISTINGS["bucket"](session):
        if run_of(bucket) == run_of(name):
            _empty(client(session, "s3"), bucket)  # its own bucket stops the deletion of a stack otherwise
    keep = {}
    if status == "DELETE_FAILED":  # leave out what failed; it is removed by its own name below
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        failed = [each["LogicalResourceId"] for each in resources if each["ResourceStatus"] == "DELETE_FAILED"]
        keep = {"RetainResources": failed} if failed else {}
    cloudformation.delete_stack(StackName=name, **keep)
    return f"deleting, was {status}"


def _remove_function(session: boto3.Session, name: str) -> None:
    client(session, "lambda").delete_function(FunctionName=name)  # with all its versions and aliases


def _remove_api(session: boto3.Session, name: str) -> None:
    gateway = client(session, "apigatewayv2")
    for page in gateway.get_paginator("get_apis").paginate():
        for api in page["Items"]:
            if api["Name"] == name:
                gateway.delete_api(ApiId=api["ApiId"])


def _remove_role(session: boto3.Session, name: str) -> None:
    iam = client(session, "iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
    iam.delete_role(RoleName=name)


def _remove_policy(session: boto3.Session, name: str) -> None:
    iam = client(session, "iam")
    for page in iam.get_paginator("list_policies").paginate(Scope="Local"):
        for policy in page["Policies"]:
            if policy["PolicyName"] == name:
                for version in iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]:
                    if not version["IsDefaultVersion"]:
                        iam.delete_policy_version(PolicyArn=policy["Arn"], VersionId=version["VersionId"])
                iam.delete_policy(PolicyArn=policy["Arn"])


def _remove_table(session: boto3.Session, name: str) -> str:
    dynamodb = client(session, "dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    if table["TableStatus"] in ("CREATING", "DELETING", "UPDATING"):
        return f"waiting for the end of {table['TableStatus']}"
    if table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        return "turning its deletion protection off"
    dynamodb.delete_table(TableName=name)
    return "deleting"


def _empty(s3: Any, bucket: str) -> None:
    """Delete every version, delete marker and unfinished upload in a bucket."""
    with contextlib.suppress(s3.exceptions.NoSuchBucket):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def _remove_bucket(session: boto3.Session, name: str) -> None:
    s3 = client(session, "s3")
    _empty(s3, name)
    s3.delete_bucket(Bucket=name)


def _remove_log_group(session: boto3.Session, name: str) -> None:
    client(session, "logs").delete_log_group(logGroupName=name)


def _remove_alarm(session: boto3.Session, name: str) -> None:
    client(session, "cloudwatch").delete_alarms(AlarmNames=[name])


def _remove_dashboard(session: boto3.Session, name: str) -> None:
    client(session, "cloudwatch").delete_dashboards(DashboardNames=[name])


def _remove_topic(session: boto3.Session, name: str) -> None:
    client(session, "sns").delete_topic(TopicArn=name)  # with its subscriptions


REMOVERS: dict[str, Callable[[boto3.Session, str], str | None]] = {
    "stack": _remove_stack,
    "function": _remove_function,
    "api": _remove_api,
    "role": _remove_role,
    "policy": _remove_policy,
    "table": _remove_table,
    "bucket": _remove_bucket,
    "log group": _remove_log_group,
    "alarm": _remove_alarm,
    "dashboard": _remove_dashboard,
    "topic": _remove_topic,
}


def _remove_import_logs(session: boto3.Session) -> None:
    """Delete the streams that DynamoDB wrote about imports of runs; the group is the account's, and stays."""
    logs, dynamodb = client(session, "logs"), client(session, "dynamodb")
    request: dict[str, Any] = {}
    while True:
        page = dynamodb.list_imports(**request)
        for each in page.get("ImportSummaryList", []):
            if run_of(each["TableArn"]):
                _remove_streams(logs, each["ImportArn"].rpartition("/")[2])
        if not page.get("NextToken"):
            return
        request = {"NextToken": page["NextToken"]}


def _remove_streams(logs: Any, prefix: str) -> None:
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        found = logs.describe_log_streams(logGroupName=IMPORT_LOGS, logStreamNamePrefix=prefix)
        for stream in found["logStreams"]:
            logs.delete_log_stream(logGroupName=IMPORT_LOGS, logStreamName=stream["logStreamName"])
