"""The life of a stack as AWS has it: through its refusals, its delays and its order of things. Kim CNN alone."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_strict import rules
from tests.aws_strict.call import Call, History, error
from tests.conftest import Cloud
from tests.stacks import DEPLOY, SENTENCE, call, make_table, printed, send, versions
from toolkit.deployment import template

STACK = "strict"


def deploy(cloud: Cloud, command: str, *options: str | Path, check: bool = True) -> Any:
    """Run a command of utils/deploy.py on the stack of this file."""
    return cloud.run(DEPLOY, command, "--stack", STACK, *options, check=check)


@pytest.fixture(scope="module")
def url(cloud: Cloud) -> Iterator[str]:
    """Where Kim CNN is served, on the table `kim-vectors`."""
    ran = deploy(cloud, "up", "--kim-cnn", cloud.packages["kim_cnn"])
    yield printed(ran.stdout)["KimCnnUrl"]
    deploy(cloud, "down", "--yes")


def status(cloud: Cloud) -> str:
    described = cloud.aws.client("cloudformation").describe_stacks(StackName=STACK)
    found: str = described["Stacks"][0]["StackStatus"]
    return found


def output(url: str) -> Any:
    return send(url, SENTENCE)[1]["output"]  # of handlers that are not ours, too


def unlike(cloud: Cloud, folder: Path, number: int) -> Path:
    """Return a package whose answers say which `number` it has."""
    wrapper = f"""
from kim_handler_before import handler as answer
import json

def handler(event, context):
    answered = answer(event, context)
    if "error" not in answered["body"] and event != {{"check": True}}:
        answered["body"] = json.dumps({{**json.loads(answered["body"]), "output": {number}}})
    return answered
"""
    package = folder / f"{number}.zip"
    with zipfile.ZipFile(cloud.packages["kim_cnn"]) as old, zipfile.ZipFile(package, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("kim_handler", "kim_handler_before"), old.read(name))
        new.writestr("kim_handler.py", wrapper)
    return package


def test_up_meets_the_refusals_that_pass_and_its_urls_answer_at_once(cloud: Cloud, url: str) -> None:
    assert call(url, SENTENCE)[1]["label"] == "very positive"
    passed = {"account_at_its_concurrency", "invoke_before_the_permission_has_spread", "routes_not_in_service_yet"}
    assert passed | {"read_before_the_permission_has_spread", "table_not_there_yet"} <= cloud.aws.refused.keys()


READER = """
import os
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    wanted = {os.environ["WORD_VECTORS_TABLE"]: {"Keys": [{"word": {"S": "good"}}]}}
    try:
        boto3.client("dynamodb").batch_get_item(RequestItems=wanted)
    except ClientError as error:
        return {"statusCode": 500, "body": str(error)}
    return {"statusCode": 200, "body": "{}"}
"""


def test_a_rollback_asks_nothing_of_the_version_that_was_live_and_leaves_a_stack_that_can_be_updated(
    cloud: Cloud, url: str, tmp_path: Path
) -> None:
    """The version that was live could not answer any more: its table is gone. The new one does not start."""
    tables = make_table(cloud, "passing")
    reader, broken = tmp_path / "reader.zip", tmp_path / "broken.zip"
    for path, handler in ((reader, READER), (broken, "import a_library_that_was_left_out")):
        with zipfile.ZipFile(path, "w") as package:
            package.writestr("kim_handler.py", handler)
    deploy(cloud, "up", "--kim-cnn", reader, "--parameter", "KimCnnTable=passing")
    tables.delete_table(TableName="passing")
    ran = deploy(cloud, "up", "--kim-cnn", broken, "--parameter", "KimCnnTable=kim-vectors", check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert "KimCnnFirstRequest" in last
    assert "No module named 'a_library_that_was_left_out'" in last
    assert "the previous version keeps serving" in last
    assert status(cloud) == "UPDATE_ROLLBACK_COMPLETE"
    deploy(cloud, "up", "--kim-cnn", unlike(cloud, tmp_path, 1), "--parameter", "KimCnnTable=kim-vectors")
    assert output(url) == 1


def test_rollback_goes_back_at_once_and_up_goes_forward(cloud: Cloud, url: str, tmp_path: Path) -> None:
    before, newer = output(url), unlike(cloud, tmp_path, 4)
    first = deploy(cloud, "up", "--kim-cnn", newer)
    assert first.stderr.count("update complete: KimCnnFunction\n") == 1
    assert output(url) == 4
    for _ in range(2):  # twice is harmless
        ran = deploy(cloud, "rollback")
        assert ran.stdout.startswith("kim_cnn serves version ")
        assert output(url) == before

    serving = versions(cloud, STACK)
    same = deploy(cloud, "up", "--kim-cnn", newer)
    assert printed(same.stdout)["KimCnnUrl"] == url
    assert "since `rollback`; `up --renew` deploys its package in the stack again" in same.stderr
    assert versions(cloud, STACK) == serving, "the same package again changes nothing"

    make_table(cloud, "empty")
    refused = deploy(cloud, "up", "--parameter", "KimCnnTable=empty", check=False)
    assert refused.returncode == 1
    assert "table empty does not have the words" in refused.stderr.splitlines()[-1]
    assert output(url) == before, "a deployment that fails does not undo a rollback"

    deploy(cloud, "up", "--renew")
    assert output(url) == 4
    deploy(cloud, "rollback")
    assert output(url) == before, "the version that rollback chose is the one before"
    resource = {"StackName": STACK, "LogicalResourceId": "KimCnnFunction"}
    function = cloud.client("cloudformation").describe_stack_resource(**resource)["StackResourceDetail"]
    kept = cloud.client("lambda").list_versions_by_function(FunctionName=function["PhysicalResourceId"])["Versions"]
    assert len(kept) == 3, "$LATEST, the last one and the one before"


def test_an_interrupted_up_goes_on_the_next_one_waits_for_its_end_and_what_was_live_is_kept(
    cloud: Cloud, url: str, tmp_path: Path
) -> None:
    before, package = output(url), str(unlike(cloud, tmp_path, 5))
    command = [sys.executable, str(DEPLOY), "up", "--stack", STACK, "--kim-cnn", package]
    with subprocess.Popen(
        command, env=cloud.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as running:
        deadline = time.monotonic() + 120
        while not status(cloud).endswith("_IN_PROGRESS") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    # Whether it sees the change under way, or is refused for it first:
    deploy(cloud, "up", "--parameter", "Throttle=49")
    assert output(url) == 5
    deploy(cloud, "rollback")
    assert output(url) == before


def test_a_command_that_made_buckets_itself_would_wait_as_on_aws(cloud: Cloud) -> None:
    """None does any more, as CloudFormation makes the page's: the test of the page meets neither refusal."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="own")
    s3.put_public_access_block(Bucket="own", PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_bucket_policy(Bucket="own", Policy="{}")
    s3.delete_bucket(Bucket="own")
    with pytest.raises(ClientError, match="OperationAborted"):
        s3.create_bucket(Bucket="own")


def test_a_package_that_is_replaced_in_the_bucket_does_not_go_on_serving(
    cloud: Cloud, url: str, tmp_path: Path
) -> None:
    before, ours, theirs = output(url), unlike(cloud, tmp_path, 6), unlike(cloud, tmp_path, 7)

    def replace(request: Call, past: History, client: rules.CLIENT_OF) -> None:
        if request.operation == "CreateChangeSet":
            function = template.parse(rules.body_of(request, client) or "")["Resources"]["KimCnnFunction"]
            bucket, _, key = function["Properties"]["CodeUri"].removeprefix("s3://").partition("/")
            client("s3").put_object(Bucket=bucket, Key=key, Body=theirs.read_bytes())

    with cloud.aws.also(replace):
        ran = deploy(cloud, "up", "--kim-cnn", ours, check=False)
    assert ran.returncode == 1
    assert f"kim_cnn: Lambda got other code than {ours} from the bucket" in ran.stderr.splitlines()[-1]
    assert ran.stderr.rstrip().endswith("the previous version serves again")
    assert output(url) == before


def test_a_bucket_of_somebody_else_gets_no_package(cloud: Cloud) -> None:
    cloud.aws.client("s3").create_bucket(Bucket="strangers-own")
    ran = deploy(cloud, "up", "--bucket", "strangers-own", check=False)
    assert ran.returncode == 1
    assert "bucket strangers-own is not of account 000000000000" in ran.stderr
    assert "Contents" not in cloud.aws.client("s3").list_objects_v2(Bucket="strangers-own")


def test_the_page_that_an_account_forbids_leaves_the_urls(cloud: Cloud, url: str) -> None:
    """The stack can't get the page's bucket; here its template is refused for it."""

    def no_public_bucket(request: Any, past: Any, client: Any) -> Any:
        asked = request.operation == "CreateChangeSet" and "Page" in request.fields.values()
        key = next((k for k, v in request.fields.items() if asked and v == "Page"), "")
        wanted = request.fields.get(key.replace("ParameterKey", "ParameterValue")) == "true"
        return error(request, 400, "ValidationError", "public buckets are blocked") if wanted else None

    with cloud.aws.also(no_public_bucket):
        ran = deploy(cloud, "up", "--page", check=False)
    assert ran.returncode == 1
    assert printed(ran.stdout)["KimCnnUrl"] == url
    assert "the API is there, the page is not" in ran.stderr.splitlines()[-1]
    assert send(url, SENTENCE)[0] == 200


def test_a_first_deployment_that_fails_says_why_the_next_starts_afresh_and_down_leaves_only_the_tables(
    cloud: Cloud,
) -> None:
    """One model alone, its package in a bucket that has something else in it."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="somebodys")
    s3.put_object(Bucket="somebodys", Key="kim-only/precious", Body=b"data")
    make_table(cloud, "broken").put_item(TableName="broken", Item={"word": {"S": "good"}, "vector": {"S": "?"}})
    names: list[str | Path] = ["--stack", "kim-only", "--bucket", "somebodys"]
    package: list[str | Path] = ["--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *names, *package, "--parameter", "KimCnnTable=broken", check=False)
    assert ran.returncode == 1
    assert "KimCnnFirstRequest: " in ran.stderr.splitlines()[-1]
    assert "the new version answers 500" in ran.stderr.splitlines()[-1]
    assert "nothing was left running" in ran.stderr.splitlines()[-1]
    outputs = printed(cloud.run(DEPLOY, "up", *names, *package).stdout)
    assert set(outputs) == {"KimCnnUrl", "SnapStart"}
    assert send(outputs["KimCnnUrl"], SENTENCE)[0] == 200
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    refused = cloud.run(DEPLOY, "down", *names, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "deploy.py: it asks first; without a terminal, say --yes\n"
    cloud.run(DEPLOY, "down", "--yes", *names)
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="somebodys")["Contents"]] == ["kim-only/precious"]
    assert cloud.client("dynamodb").list_tables()["TableNames"] == tables
    named = [role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]]
    named += [function["FunctionName"] for function in cloud.client("lambda").list_functions()["Functions"]]
    named += [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]]
    named += [api["Name"] for api in cloud.client("apigatewayv2").get_apis()["Items"]]
    assert [name for name in named if "kim-only" in name] == []
    again = cloud.run(DEPLOY, "down", "--yes", *names)
    assert again.stderr == "no stack kim-only here\n", "down twice is harmless"
