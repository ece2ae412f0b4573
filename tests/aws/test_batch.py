"""Batches on the local cloud: what evaluation gives, whatever is killed, throttled or dies; and what roles may do."""

import csv
import inspect
import io
import json
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws_strict import rules
from tests.conftest import KIM_VECTORS, ROOT, SAMPLE, Cloud
from tests.faults.conftest import FULL
from tests.faults.proxy import Exchange, Fault, throttled
from tests.stacks import DEPLOY
from toolkit.deployment.template import MODELS

BATCH, STACK = ROOT / "utils/batch.py", "batches"
ROWS = 20_000 if FULL else 800
PART = ROWS // 4
ANSWERS = 8  # of a question
VECTORS = {"kim_cnn": KIM_VECTORS, "sm_cnn": SAMPLE}
TABLES = {"kim_cnn": "kim-vectors", "sm_cnn": "word-vectors"}
WORDS = "a very good bad movie plot river is not about caves ice the slow unheardof".split()


@pytest.fixture(scope="module")
def stack(cloud: Cloud) -> Iterator[dict[str, str]]:
    """A stack with both models and batches; its resources by their names in the template."""
    packages = [f"--{model.replace('_', '-')}={cloud.packages[model]}" for model in MODELS]
    switches = ["--parameter", "Batch=on", "--parameter", "BatchConcurrency=4"]
    cloud.run(DEPLOY, "up", "--stack", STACK, *packages, *switches)
    found = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    yield {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}
    cloud.run(DEPLOY, "down", "--yes", "--stack", STACK)


def text(drawn: random.Random) -> str:
    """Return 1 to 60 words."""
    return " ".join(drawn.choices(WORDS, k=drawn.randint(1, 60)))


def reviews(path: Path, seed: int, count: int = ROWS) -> Path:
    """Write texts of mixed length."""
    drawn = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([number, text(drawn)] for number in range(count))
    return path


def questions(path: Path, seed: int, count: int) -> Path:
    """Write questions with ANSWERS answers each, of mixed length."""
    drawn = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer"])
        for number in range(count):
            question = f"{text(drawn)} {number}"
            writer.writerows([question, text(drawn)] for _ in range(ANSWERS))
    return path


def command(name: str, *rest: str | Path) -> list[str]:
    return [str(BATCH), name, *map(str, rest), "--stack", STACK]


def run_batch(cloud: Cloud, source: Path, output: Path, *more: str, check: bool = True) -> Any:
    given = ["--yes", "--part-rows", str(PART), *more]
    return cloud.run(*command("run", source, output, "--model", "kim_cnn", *given), check=check)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def assert_offline(source: Path, output: Path, tmp_path: Path, model: str = "kim_cnn") -> None:
    """Compare with what utils/predict.py computes with model file and vectors, as evaluation does."""
    expected = tmp_path / f"{model}.csv"
    here = ["--model", ROOT / f"{model}.model", "--vectors", VECTORS[model], "--quiet"]
    predict = [sys.executable, ROOT / "utils/predict.py", source, expected, *here]
    subprocess.run([str(part) for part in predict], check=True)
    found, wanted = rows_of(output), rows_of(expected)
    assert len(found) == len(wanted) > 0
    largest = 0.0
    for ours, theirs in zip(found, wanted, strict=True):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            if name.startswith("probability"):
                largest = max(largest, abs(float(ours[name]) - float(value)))
            else:
                assert ours[name] == value
    print(f"{model}: {len(found):,} rows, largest difference of a probability {largest:.1e}")
    assert largest <= 1e-6


def keys(cloud: Cloud, stack: dict[str, str], kind: str = "") -> dict[str, Any]:
    """Return when each object of the bucket was written."""
    found = cloud.client("s3").list_objects_v2(Bucket=stack["BatchBucket"]).get("Contents", [])
    return {each["Key"]: each["LastModified"] for each in found if kind in each["Key"]}


def test_two_batches_at_once_give_what_evaluation_gives_and_leave_nothing_behind(
    cloud: Cloud, stack: dict[str, str], tmp_path: Path
) -> None:
    source, output = reviews(tmp_path / "in.csv", 1), tmp_path / "out.csv"
    pairs, ranked = questions(tmp_path / "pairs.csv", 6, ROWS // 10 // ANSWERS), tmp_path / "ranked.csv"
    other = [sys.executable, *command("run", pairs, ranked, "--model", "sm_cnn", "--yes", "--part-rows", "20")]
    with subprocess.Popen(other, env=cloud.environment) as process:
        run_batch(cloud, source, output)
        assert process.wait() == 0
    assert_offline(source, output, tmp_path)
    assert_offline(pairs, ranked, tmp_path, "sm_cnn")
    assert keys(cloud, stack) == {}, "rows and results are private"


def test_killed_at_any_time_the_same_command_does_what_is_missing(
    cloud: Cloud, stack: dict[str, str], tmp_path: Path
) -> None:
    source, output = reviews(tmp_path / "in.csv", 2), tmp_path / "out.csv"
    drawn = random.Random(3)
    given = ["--model", "kim_cnn", "--yes", "--keep", "--part-rows", str(PART)]
    for _ in range(3 if FULL else 1):
        before = keys(cloud, stack, "/results/")
        process = subprocess.Popen([sys.executable, *command("run", source, output, *given)], env=cloud.environment)
        time.sleep(drawn.uniform(1, 12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if output.exists():  # it was fast
            break
        after = keys(cloud, stack, "/results/")
        assert {key: after.get(key) for key in before} == before, "what was done is not done again"
    before = keys(cloud, stack, "/results/")
    if not output.exists():
        run_batch(cloud, source, output, "--keep")
    after = keys(cloud, stack, "/results/")
    assert {key: after.get(key) for key in before} == before
    assert len(after) == 4
    assert_offline(source, output, tmp_path)
    for key in keys(cloud, stack):
        cloud.client("s3").delete_object(Bucket=stack["BatchBucket"], Key=key)


def test_a_poisoned_row_is_named_and_a_throttled_table_is_waited_for(
    cloud: Cloud, stack: dict[str, str], tmp_path: Path
) -> None:
    source, output = reviews(tmp_path / "in.csv", 4, 40), tmp_path / "out.csv"
    source.write_text(source.read_text() + "40,\n41," + "good " * 22_000 + f"\n42,new{time.time_ns()}\n")
    refused: list[None] = []

    def fault(exchange: Exchange) -> Fault | None:
        if "BatchGetItem" in exchange.headers.get("X-Amz-Target", "") and len(refused) < 20:
            refused.append(None)
            return throttled
        return None

    cloud.aws.fault = fault
    try:
        ran = run_batch(cloud, source, output, check=False)
    finally:
        cloud.aws.fault = lambda exchange: None
    assert ran.returncode == 1
    assert "2 rows could not be scored" in ran.stderr
    failed = [json.loads(line) for line in Path(f"{output}.failed.jsonl").read_text().splitlines()]
    assert [(each["row"], each["place"]) for each in failed] == [(41, f"{source}, line 42"), (42, f"{source}, line 43")]
    assert [row["id"] for row in rows_of(output) if not row["predicted"]] == ["40", "41"]


def swap(cloud: Cloud, function: str, package: bytes) -> None:
    client = cloud.client("lambda")
    client.update_function_code(FunctionName=function, ZipFile=package)
    client.get_waiter("function_updated").wait(FunctionName=function, WaiterConfig={"Delay": 1})


def packed(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for name, text in files.items():
            package.writestr(f"{name}.py", text)
    return content.getvalue()


DIES = """
import os, pathlib
from inference import batch
from kim_batch_before import handler as answer

score = batch.score

def handler(event, context):
    died = pathlib.Path({folder!r}) / event["key"].replace("/", "_")

    def half(service, rows):
        score(service, rows[: len(rows) // 2])
        died.touch()
        os._exit(1)

    dies = "000001" in event["key"] or ("000000" in event["key"] and not died.exists())
    batch.score = half if dies else score
    return answer(event, context)
"""


def test_a_function_that_dies_is_tried_again_and_what_stays_dead_is_named_and_done_later(
    cloud: Cloud, stack: dict[str, str], tmp_path: Path
) -> None:
    """The part 0 kills its function in the middle once, the part 1 always."""
    original = cloud.packages["kim_cnn"].read_bytes()
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name.replace("kim_batch", "kim_batch_before"), old.read(name))
        new.writestr("kim_batch.py", DIES.format(folder=str(tmp_path)))
    swap(cloud, stack["KimCnnBatch"], changed.getvalue())
    source, output = reviews(tmp_path / "in.csv", 5), tmp_path / "out.csv"
    ran = run_batch(cloud, source, output, check=False)
    assert ran.returncode == 1
    assert "1 of 4 parts are not done" in ran.stderr
    failed = [json.loads(line) for line in Path(f"{output}.failed.jsonl").read_text().splitlines()]
    assert [each["row"] for each in failed] == list(range(PART + 1, 2 * PART + 1))
    assert all(each["error"] and each["error"] != "not done yet" for each in failed)
    assert not output.exists(), "the same command is to do the rest"
    assert len(keys(cloud, stack, "/results/")) == 3
    name = next(line.split()[1] for line in ran.stderr.splitlines() if line.startswith("batch "))
    said = cloud.run(*command("status", name)).stdout
    assert "parts 3 of 4" in said and "failed_part 1 " in said
    cloud.run(*command("collect", name), check=False)
    assert sum(not row["predicted"] for row in rows_of(output)) == PART, "the rest is there"
    assert len(keys(cloud, stack, "/results/")) == 3, "and can be continued"
    assert "is not running" in cloud.run(*command("stop", name)).stderr
    swap(cloud, stack["KimCnnBatch"], original)


def outcomes(tried: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """Make each call; return the error's code of each, or "allowed"."""
    outcome = {}
    for name, call in tried.items():
        try:
            call()
            outcome[name] = "allowed"
        except ClientError as error:
            outcome[name] = error.response["Error"]["Code"]
    return outcome


PROBE = """
from __future__ import annotations
import botocore.session
from botocore.exceptions import ClientError

def handler(event, context):
    session = botocore.session.get_session()
    s3, dynamodb = session.create_client("s3"), session.create_client("dynamodb")
    where = {"Bucket": event["bucket"]}
    base = event["key"].split("/parts/")[0]
    tried = {
        "part": lambda: s3.get_object(Key=event["key"], **where),
        "result": lambda: s3.put_object(Key=base + "/results/probe", Body=b"", **where),
        "over part": lambda: s3.put_object(Key=event["key"], Body=b"", **where),
        "delete": lambda: s3.delete_object(Key=event["key"], **where),
        "list": lambda: s3.list_objects_v2(**where),
        "other model": lambda: s3.get_object(Key=event["other_key"], **where),
        "buckets": lambda: s3.list_buckets(),
        "table": lambda: dynamodb.batch_get_item(
            RequestItems={event["table"]: {"Keys": [{"word": {"S": "good"}}]}}),
        "other table": lambda: dynamodb.batch_get_item(
            RequestItems={event["other_table"]: {"Keys": [{"word": {"S": "good"}}]}}),
        "write": lambda: dynamodb.put_item(TableName=event["table"], Item={"word": {"S": "good"}}),
        "scan": lambda: dynamodb.scan(TableName=event["table"]),
    }
    return outcomes(tried)

"""


@pytest.mark.parametrize(("model", "other"), [("kim_cnn", "sm_cnn"), ("sm_cnn", "kim_cnn")])
def test_the_role_reads_parts_and_one_table_and_writes_results_alone(
    cloud: Cloud, stack: dict[str, str], model: str, other: str
) -> None:
    client, lambdas = cloud.client("s3"), cloud.client("lambda")
    own_key, other_key = (f"{each}/x/parts/000000.jsonl.gz" for each in (model, other))
    for key in (own_key, other_key):
        client.put_object(Bucket=stack["BatchBucket"], Key=key, Body=b"x")
    function = stack[f"{MODELS[model]}Batch"]
    swap(cloud, function, packed(**{f"{model.removesuffix('_cnn')}_batch": PROBE + inspect.getsource(outcomes)}))
    tables = {"table": TABLES[model], "other_table": TABLES[other]}
    event = {"bucket": stack["BatchBucket"], "key": own_key, "other_key": other_key, **tables}
    answer = lambdas.invoke(FunctionName=function, Payload=json.dumps(event))
    outcome = json.load(answer["Payload"])
    assert {name for name, result in outcome.items() if result == "allowed"} == {"part", "result", "table"}, outcome
    assert all("AccessDenied" in result for result in outcome.values() if result != "allowed"), outcome
    swap(cloud, function, cloud.packages[model].read_bytes())


def test_the_machine_calls_the_batches_functions_and_lists_their_bucket_alone(
    cloud: Cloud, stack: dict[str, str]
) -> None:
    """Its policy, in the hands of a user."""
    iam = cloud.client("iam")
    policy = iam.get_role_policy(RoleName=stack["BatchMachineRole"], PolicyName="run")["PolicyDocument"]
    iam.create_user(UserName="machine")
    iam.put_user_policy(UserName="machine", PolicyName="run", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="machine")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])
    endpoint = cloud.environment["AWS_ENDPOINT_URL"]
    lambdas, s3, dynamodb, states = (
        session.client(name, endpoint_url=endpoint) for name in ("lambda", "s3", "dynamodb", "stepfunctions")
    )
    bucket = stack["BatchBucket"]
    tried: dict[str, Callable[[], Any]] = {
        "batch": lambda: lambdas.invoke(FunctionName=stack["KimCnnBatch"], Payload=b"{}"),
        "list": lambda: s3.list_objects_v2(Bucket=bucket),
        "api": lambda: lambdas.invoke(FunctionName=stack["KimCnnFunction"], Payload=b"{}"),
        "change": lambda: lambdas.update_function_configuration(FunctionName=stack["KimCnnBatch"], Timeout=1),
        "read": lambda: s3.get_object(Bucket=bucket, Key="kim_cnn/x/parts/000000.jsonl.gz"),
        "write": lambda: s3.put_object(Bucket=bucket, Key="kim_cnn/x/results/000000.jsonl.gz", Body=b""),
        "table": lambda: dynamodb.scan(TableName="kim-vectors"),
        "machines": lambda: states.list_state_machines(),
    }
    with cloud.aws.without(rules.account_at_its_concurrency):  # which denies, too
        outcome = outcomes(tried)
    assert {name for name, result in outcome.items() if result == "allowed"} == {"batch", "list"}, outcome
    assert all("AccessDenied" in result for result in outcome.values() if result != "allowed"), outcome
