"""Deployments as AWS has them: through its refusals, its delays and its order of things."""

import concurrent.futures
import itertools
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.conftest import StrictCloud
from tests.conftest import ROOT
from tests.test_end_to_end import SENTENCE, call, make_table, printed

DEPLOY = ROOT / "utils/deploy.py"
STACK = "strict"


def deploy(strict: StrictCloud, command: str, *options: str | Path, check: bool = True) -> Any:
    """Run a command of utils/deploy.py on the stack of this file."""
    return strict.run(DEPLOY, command, "--stack", STACK, *options, check=check)


@pytest.fixture(scope="module")
def url(strict: StrictCloud) -> Iterator[str]:
    """Where Kim CNN is served, on the table `word-vectors`."""
    ran = deploy(strict, "up", "--kim-cnn", strict.packages["kim_cnn"])
    yield printed(ran.stdout)["KimCnnUrl"]
    deploy(strict, "down", "--yes")


def status(strict: StrictCloud) -> str:
    described = strict.aws.client("cloudformation").describe_stacks(StackName=STACK)
    found: str = described["Stacks"][0]["StackStatus"]
    return found


def output(url: str) -> Any:
    return call(url, SENTENCE)[1]["output"]


def unlike(strict: StrictCloud, folder: Path, number: int) -> Path:
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
    with zipfile.ZipFile(strict.packages["kim_cnn"]) as old, zipfile.ZipFile(package, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("kim_handler", "kim_handler_before"), old.read(name))
        new.writestr("kim_handler.py", wrapper)
    return package


def under_traffic(url: str, work: Callable[[], Any]) -> tuple[Any, list[int]]:
    """Send requests with words that no cache has while `work` runs; return its result and their statuses."""
    done: list[bool] = []

    def keep_calling(name: int) -> list[int]:
        statuses: list[int] = []
        for number in itertools.count():
            if done:
                return statuses
            statuses.append(call(url, {"input": f"word{name}x{number}x{time.time_ns()}"})[0])
            time.sleep(0.1)
        return statuses

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        traffic = [pool.submit(keep_calling, name) for name in range(2)]
        try:
            result = pool.submit(work).result()
        finally:
            time.sleep(1)
            done.append(True)
        return result, [found for future in traffic for found in future.result()]


def test_up_meets_the_refusals_that_pass_and_its_urls_answer_at_once(strict: StrictCloud, url: str) -> None:
    assert call(url, SENTENCE)[1]["label"] == "very positive"
    passed = {"account_at_its_concurrency", "invoke_before_the_permission_has_spread", "routes_not_in_service_yet"}
    assert passed | {"read_before_the_permission_has_spread", "table_not_there_yet"} <= strict.aws.refused.keys()


def test_another_table_under_traffic_of_fresh_words_fails_no_request(strict: StrictCloud, url: str) -> None:
    def work() -> None:
        deploy(strict, "up", "--parameter", "KimCnnTable=others")

    _, statuses = under_traffic(url, work)
    assert len(statuses) > 20
    assert set(statuses) == {200}
    _, statuses = under_traffic(url, lambda: deploy(strict, "rollback"))  # to the version of the table before
    assert set(statuses) == {200}
    deploy(strict, "up", "--parameter", "KimCnnTable=word-vectors")
    assert call(url, SENTENCE)[0] == 200


def test_a_package_that_does_not_start_leaves_a_stack_that_can_be_updated(
    strict: StrictCloud, url: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as package:
        package.writestr("kim_handler.py", "import a_library_that_was_left_out")
    ran = deploy(strict, "up", "--kim-cnn", broken, check=False)
    assert ran.returncode == 1
    assert "a_library_that_was_left_out" in ran.stderr.splitlines()[-1]
    assert status(strict) == "UPDATE_ROLLBACK_COMPLETE"
    assert call(url, SENTENCE)[0] == 200
    deploy(strict, "up", "--kim-cnn", unlike(strict, tmp_path, 1))
    assert output(url) == 1


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


def test_a_rollback_asks_nothing_of_the_version_that_was_live(strict: StrictCloud, url: str, tmp_path: Path) -> None:
    """It could not answer any more: its table is gone."""
    tables = make_table(strict, "passing")
    strict.client("dynamodb").get_waiter("table_exists").wait(TableName="passing", WaiterConfig={"Delay": 1})
    reader, broken = tmp_path / "reader.zip", tmp_path / "broken.zip"
    for path, handler in ((reader, READER), (broken, "import a_library_that_was_left_out")):
        with zipfile.ZipFile(path, "w") as package:
            package.writestr("kim_handler.py", handler)
    deploy(strict, "up", "--kim-cnn", reader, "--parameter", "KimCnnTable=passing")
    tables.delete_table(TableName="passing")
    ran = deploy(strict, "up", "--kim-cnn", broken, "--parameter", "KimCnnTable=word-vectors", check=False)
    assert ran.returncode == 1
    assert status(strict) == "UPDATE_ROLLBACK_COMPLETE"
    deploy(strict, "up", "--kim-cnn", strict.packages["kim_cnn"], "--parameter", "KimCnnTable=word-vectors")
    assert call(url, SENTENCE)[0] == 200


def test_rollback_goes_back_at_once_and_up_goes_forward(strict: StrictCloud, url: str, tmp_path: Path) -> None:
    deploy(strict, "up", "--kim-cnn", unlike(strict, tmp_path, 3))
    deploy(strict, "up", "--kim-cnn", unlike(strict, tmp_path, 4))
    assert output(url) == 4
    for _ in range(2):  # twice is harmless
        ran = deploy(strict, "rollback")
        assert ran.stdout.startswith("kim_cnn serves version ")
        assert output(url) == 3
    unchanged = deploy(strict, "up")
    assert "since `rollback`; `up --renew` deploys its package in the stack again" in unchanged.stderr
    assert output(url) == 3
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as package:
        package.writestr("kim_handler.py", "import a_library_that_was_left_out")
    assert deploy(strict, "up", "--kim-cnn", broken, check=False).returncode == 1
    assert output(url) == 3, "a deployment that fails does not undo a rollback"
    deploy(strict, "up", "--renew")
    assert output(url) == 4
    deploy(strict, "rollback")
    assert output(url) == 3, "the version that rollback chose is the one before"
    lambdas = strict.aws.client("lambda")
    (function,) = [
        item["FunctionName"] for item in lambdas.list_functions()["Functions"] if item["Handler"].startswith("kim")
    ]
    versions = lambdas.list_versions_by_function(FunctionName=function)["Versions"]
    assert len(versions) == 3, "$LATEST, the last one and the one before"


def test_an_interrupted_up_goes_on_and_the_next_one_waits_for_its_end(
    strict: StrictCloud, url: str, tmp_path: Path
) -> None:
    package = str(unlike(strict, tmp_path, 5))
    command = [sys.executable, str(DEPLOY), "up", "--stack", STACK, "--kim-cnn", package]
    with subprocess.Popen(
        command, env=strict.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as running:
        deadline = time.monotonic() + 120
        while not status(strict).endswith("_IN_PROGRESS") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
    ran = deploy(strict, "up", "--parameter", "Throttle=49")
    assert f"{STACK}: waiting for the end of UPDATE_" in ran.stderr
    assert output(url) == 5


def test_a_bucket_of_somebody_else_gets_no_package(strict: StrictCloud) -> None:
    strict.aws.client("s3").create_bucket(Bucket="strangers-own")
    ran = deploy(strict, "up", "--bucket", "strangers-own", check=False)
    assert ran.returncode == 1
    assert "bucket strangers-own is not of account 000000000000" in ran.stderr
    assert "Contents" not in strict.aws.client("s3").list_objects_v2(Bucket="strangers-own")


def test_the_page_that_an_account_forbids_leaves_the_urls(
    strict: StrictCloud, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack can't get the page's bucket; here its template is refused for it."""
    from tests.aws_strict.call import error

    def no_public_bucket(request: Any, past: Any, client: Any) -> Any:
        asked = request.operation == "CreateChangeSet" and "Page" in request.fields.values()
        key = next((k for k, v in request.fields.items() if asked and v == "Page"), "")
        wanted = request.fields.get(key.replace("ParameterKey", "ParameterValue")) == "true"
        return error(request, 400, "ValidationError", "public buckets are blocked") if wanted else None

    strict.aws.rules.append(no_public_bucket)
    try:
        ran = deploy(strict, "up", "--page", check=False)
    finally:
        strict.aws.rules.remove(no_public_bucket)
    assert ran.returncode == 1
    assert printed(ran.stdout)["KimCnnUrl"] == url
    assert "the API is there, the page is not" in ran.stderr.splitlines()[-1]
    assert call(url, SENTENCE)[0] == 200
