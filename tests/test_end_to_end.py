"""The main job on the local cloud with IAM enforced: vectors, packages, stack, requests over HTTP."""

import base64
import concurrent.futures
import json
import shutil
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import ROOT, Cloud

DEPLOY = ROOT / "utils/deploy.py"
PAIR = {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}
SENTENCE = {"input": "this is a very good movie"}


def call(url: str, fields: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Send `fields` as JSON, or bytes as they are; return status, parsed body and headers."""
    data = fields if fields is None or isinstance(fields, bytes) else json.dumps(fields).encode()
    request = urllib.request.Request(url, data, method=method, headers={"Origin": "https://example.org", **headers})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        return answer.status, json.loads(body) if body else None, dict(answer.headers)


@pytest.fixture(scope="module")
def urls(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Both models deployed; the URLs that the deployment printed."""
    yield deploy(cloud)
    cloud.run(DEPLOY, "down", "--yes")


def deploy(cloud: Cloud, *options: str, **packages: Path) -> dict[str, str]:
    given = {**cloud.packages, **packages}
    ran = cloud.run(DEPLOY, "up", "--sm-cnn", given["sm_cnn"], "--kim-cnn", given["kim_cnn"], *options)
    return printed(ran.stdout)


def printed(stdout: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in stdout.splitlines())


def test_both_sample_requests_are_answered(urls: dict[str, str]) -> None:
    status, answer, headers = call(urls["SmCnnUrl"], PAIR)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert answer["sent1"] == PAIR["sent1"]
    assert len(answer["score"]) == 2
    assert 0 < answer["probability"] < 1
    assert answer["unknown_words"] == []
    status, answer, _ = call(urls["KimCnnUrl"], SENTENCE)
    assert status == 200
    assert answer["label"] in ("positive", "very positive")
    assert answer["unknown_words"] == []


def test_the_committed_model_ranks_an_answer_over_a_sentence_about_something_else(urls: dict[str, str]) -> None:
    question = {
        "sent1": "what is the capital of france",
        "sent2": ["the bank was founded in 1901 .", "paris is the capital and largest city of france ."],
    }
    assert call(urls["SmCnnUrl"], question)[1]["ranking"] == [1, 0]


def test_the_same_request_gets_the_same_answer(urls: dict[str, str]) -> None:
    answers = [call(urls["SmCnnUrl"], PAIR)[1] for _ in range(3)]
    assert len({json.dumps([answer["score"], answer["probability"]]) for answer in answers}) == 1


def test_errors_are_the_contracts_and_readable_by_a_browser(urls: dict[str, str]) -> None:
    url = urls["KimCnnUrl"]
    status, answer, headers = call(url, b"{")
    assert (status, answer) == (400, {"error": "the body is not JSON in UTF-8; send a JSON object"})
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Expose-Headers"].lower() == "retry-after"
    status, _, headers = call(url, method="GET")
    assert (status, headers["Access-Control-Allow-Origin"]) == (405, "*")
    assert call(url.replace("kim_cnn", "no_such_model"), SENTENCE)[0] == 404


def test_a_preflight_lets_a_browser_post_json(urls: dict[str, str]) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, _, headers = call(urls["KimCnnUrl"], method="OPTIONS", **asked)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "content-type" in headers["Access-Control-Allow-Headers"]


def test_the_functions_role_may_read_its_table_in_batches_and_nothing_else(
    cloud: Cloud, urls: dict[str, str], tmp_path: Path
) -> None:
    """A package whose handler tries, with the role's credentials, what the role must not do."""
    probe = tmp_path / "kim_cnn.zip"
    with zipfile.ZipFile(probe, "w") as package:
        package.writestr(
            "kim_handler.py",
            """
import json
import boto3

def handler(event, context):
    client = boto3.client("dynamodb")
    key = {"word": {"S": "good"}}
    tried = {
        "read": lambda: client.batch_get_item(RequestItems={"word-vectors": {"Keys": [key]}}),
        "get": lambda: client.get_item(TableName="word-vectors", Key=key),
        "scan": lambda: client.scan(TableName="word-vectors"),
        "put": lambda: client.put_item(TableName="word-vectors", Item=key),
        "delete": lambda: client.delete_item(TableName="word-vectors", Key=key),
        "other": lambda: client.batch_get_item(RequestItems={"other-table": {"Keys": [key]}}),
    }
    outcome = {}
    for name, call in tried.items():
        try:
            call()
            outcome[name] = "allowed"
        except client.exceptions.ClientError as error:
            outcome[name] = error.response["Error"]["Code"]
    return {"statusCode": 200, "headers": {}, "body": json.dumps(outcome)}
""",
        )
    make_table(cloud, "other-table")
    url = deploy(cloud, kim_cnn=probe)["KimCnnUrl"]
    _, outcome, _ = call(url, SENTENCE)
    assert outcome.pop("read") == "allowed"
    assert set(outcome.values()) == {"AccessDeniedException"}, outcome
    deploy(cloud)


def test_without_the_permission_to_read_the_caller_gets_a_clean_500_and_the_log_names_it(
    cloud: Cloud, urls: dict[str, str]
) -> None:
    role = next(
        resource["PhysicalResourceId"]
        for resource in cloud.client("cloudformation").describe_stack_resources(StackName="serverless-inference")[
            "StackResources"
        ]
        if resource["LogicalResourceId"] == "KimCnnRole"
    )
    iam = cloud.client("iam")
    policy = iam.get_role_policy(RoleName=role, PolicyName="read-word-vectors-and-log")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName="read-word-vectors-and-log")
    try:
        status, answer, headers = call(urls["KimCnnUrl"], {"input": "some words that no cache has seen"})
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="read-word-vectors-and-log", PolicyDocument=json.dumps(policy))
    assert (status, headers["Access-Control-Allow-Origin"]) == (500, "*")
    assert answer == {"error": "the request failed inside the service; its log says why"}
    deadline = time.monotonic() + 10  # logs arrive after the answer
    while "dynamodb:BatchGetItem" not in (written := logs(cloud, "KimCnnLogs")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "dynamodb:BatchGetItem" in written


def logs(cloud: Cloud, logical_id: str) -> str:
    """Return what the function whose log group this is has written."""
    described = cloud.client("cloudformation").describe_stack_resource(
        StackName="serverless-inference", LogicalResourceId=logical_id
    )
    group = described["StackResourceDetail"]["PhysicalResourceId"]
    events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


def test_new_weights_over_running_traffic_fail_no_request_and_change_the_answers(
    cloud: Cloud, urls: dict[str, str], tmp_path: Path
) -> None:
    from inference import model_file

    content = model_file.load(ROOT / "kim_cnn.model", "kim_cnn")
    module = model_file.build("kim_cnn", content.config)
    model_file.save(tmp_path / "kim_cnn.model", "kim_cnn", content.config, module.state_dict())
    package = tmp_path / "kim_cnn.zip"
    shutil.copy(cloud.packages["kim_cnn"], package)
    with zipfile.ZipFile(cloud.packages["kim_cnn"]) as old, zipfile.ZipFile(package, "w") as new:
        for name in old.namelist():
            new.writestr(name, (tmp_path / name).read_bytes() if name == "kim_cnn.model" else old.read(name))
    before = call(urls["KimCnnUrl"], SENTENCE)[1]["output"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done = []
        traffic = [pool.submit(lambda: keep_calling(urls["KimCnnUrl"], done)) for _ in range(2)]
        pool.submit(deploy, cloud, kim_cnn=package).result()
        time.sleep(0.5)
        done.append(True)
        answers = [answer for future in traffic for answer in future.result()]
    assert {status for status, _ in answers} == {200}
    outputs = {json.dumps(output) for _, output in answers}
    assert json.dumps(before) in outputs
    assert len(outputs) == 2
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["output"] != before
    deploy(cloud)


def keep_calling(url: str, done: list[bool]) -> list[tuple[int, Any]]:
    answers = []
    while not done:
        status, answer, _ = call(url, SENTENCE)
        answers.append((status, answer.get("output")))
    return answers


def test_a_broken_package_is_not_deployed_and_the_old_version_goes_on_answering(
    cloud: Cloud, urls: dict[str, str], tmp_path: Path
) -> None:
    before = call(urls["KimCnnUrl"], SENTENCE)[1]["output"]
    broken = tmp_path / "kim_cnn.zip"
    with zipfile.ZipFile(broken, "w") as package:
        package.writestr("kim_handler.py", "import a_library_that_was_left_out")
    ran = cloud.run(DEPLOY, "up", "--sm-cnn", cloud.packages["sm_cnn"], "--kim-cnn", broken, check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert "KimCnnFirstRequest" in last
    assert "No module named 'a_library_that_was_left_out'" in last
    assert "the version before goes on answering" in last
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["output"] == before
    deploy(cloud)


def test_deploying_the_same_again_changes_nothing(cloud: Cloud, urls: dict[str, str]) -> None:
    ran = cloud.run(DEPLOY, "up", "--sm-cnn", cloud.packages["sm_cnn"], "--kim-cnn", cloud.packages["kim_cnn"])
    assert ran.stderr.splitlines() == ["sm_cnn.zip: unchanged", "kim_cnn.zip: unchanged", "nothing to change"]
    assert printed(ran.stdout) == urls


def test_one_model_alone_deploys_and_down_leaves_nothing_but_the_tables(cloud: Cloud) -> None:
    names = ["--stack", "kim-only", "--bucket", "kim-only-packages"]
    ran = cloud.run(DEPLOY, "up", *names, "--kim-cnn", cloud.packages["kim_cnn"])
    outputs = printed(ran.stdout)
    assert set(outputs) == {"KimCnnUrl", "SnapStart"}
    assert call(outputs["KimCnnUrl"], SENTENCE)[0] == 200
    public = cloud.client("s3").get_public_access_block(Bucket="kim-only-packages")
    assert set(public["PublicAccessBlockConfiguration"].values()) == {True}
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    refused = cloud.run(DEPLOY, "down", *names, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "deploy.py: removing asks first; without a terminal, say --yes\n"
    cloud.run(DEPLOY, "down", "--yes", *names)
    assert "kim-only-packages" not in [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    assert cloud.client("dynamodb").list_tables()["TableNames"] == tables
    named = [role["RoleName"] for role in cloud.client("iam").list_roles()["Roles"]]
    named += [function["FunctionName"] for function in cloud.client("lambda").list_functions()["Functions"]]
    named += [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]]
    named += [api["Name"] for api in cloud.client("apigatewayv2").get_apis()["Items"]]
    assert [name for name in named if "kim-only" in name] == []
    assert cloud.run(DEPLOY, "down", "--yes", *names).returncode == 0, "down twice is harmless"


def test_a_bucket_that_up_did_not_make_stays_with_what_else_is_in_it(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="somebodys")
    s3.put_object(Bucket="somebodys", Key="precious", Body=b"data")
    names = ["--stack", "guest", "--bucket", "somebodys"]
    cloud.run(DEPLOY, "up", *names, "--kim-cnn", cloud.packages["kim_cnn"])
    cloud.run(DEPLOY, "down", "--yes", *names)
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="somebodys")["Contents"]] == ["precious"]


def test_up_again_keeps_the_other_model_and_the_parameters_that_are_not_given(
    cloud: Cloud, urls: dict[str, str]
) -> None:
    cloud.run(DEPLOY, "up", "--kim-cnn", cloud.packages["kim_cnn"], "--parameter", "Memory=1024")
    assert call(urls["SmCnnUrl"], PAIR)[0] == 200
    ran = cloud.run(DEPLOY, "up", "--kim-cnn", cloud.packages["kim_cnn"])
    assert ran.stderr.splitlines()[-1] == "nothing to change"
    functions = cloud.client("lambda").list_functions()["Functions"]
    assert {item["MemorySize"] for item in functions if "CnnFunction" in item["FunctionName"]} == {1024}


def make_table(cloud: Cloud, name: str) -> Any:
    """Make an empty table for word vectors; return a client to fill it with."""
    client = cloud.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "word", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def test_a_first_deployment_that_fails_says_why_and_the_next_one_starts_afresh(cloud: Cloud) -> None:
    make_table(cloud, "broken").put_item(TableName="broken", Item={"word": {"S": "good"}, "vector": {"S": "?"}})
    names = ["--stack", "first", "--bucket", "first-packages"]
    package = ["--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *names, *package, "--parameter", "KimCnnTable=broken", check=False)
    assert ran.returncode == 1
    assert "KimCnnFirstRequest" in ran.stderr.splitlines()[-1]
    assert "the new version answers 500" in ran.stderr.splitlines()[-1]
    assert "KimCnnUrl" in cloud.run(DEPLOY, "up", *names, *package).stdout
    cloud.run(DEPLOY, "down", "--yes", *names)


def test_a_changed_parameter_reaches_the_functions_that_answer(cloud: Cloud, urls: dict[str, str]) -> None:
    make_table(cloud, "empty")
    changed = deploy(cloud, "--parameter", "KimCnnTable=empty")
    assert changed == urls
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["unknown_words"] == SENTENCE["input"].split()
    assert call(urls["SmCnnUrl"], PAIR)[1]["unknown_words"] == []
    deploy(cloud, "--parameter", "KimCnnTable=word-vectors")
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["unknown_words"] == []


def test_a_table_that_is_not_there_is_named_before_anything_is_deployed(cloud: Cloud) -> None:
    names = ["--stack", "tableless", "--bucket", "tableless-packages", "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *names, "--parameter", "KimCnnTable=no-such-table", check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == ("deploy.py: no table no-such-table here; upload word vectors to it first")
    cloud.run(DEPLOY, "down", "--yes", *names[:4])


def test_snapstart_is_on_where_the_region_has_it_and_said_to_be_off_elsewhere(cloud: Cloud) -> None:
    names = ["--stack", "snap", "--bucket", "snap-packages", "--kim-cnn", cloud.packages["kim_cnn"]]
    on = printed(cloud.run(DEPLOY, "up", *names, "--parameter", "SnapStart=on").stdout)
    assert on["SnapStart"] == "on"
    assert call(on["KimCnnUrl"], SENTENCE)[0] == 200
    described = cloud.client("cloudformation").describe_stack_resource(
        StackName="snap", LogicalResourceId="KimCnnFunction"
    )
    function = described["StackResourceDetail"]["PhysicalResourceId"]
    version = cloud.client("lambda").get_function_configuration(FunctionName=function, Qualifier="live")
    assert version["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    cloud.run(DEPLOY, "down", "--yes", *names[:4])
    sample = ROOT / "data/glove.6B.50d.sample.txt.gz"
    upload = ROOT / "utils/upload_word_vectors_to_dynamo.py"
    elsewhere = replace(cloud, environment={**cloud.environment, "AWS_DEFAULT_REGION": "ap-east-2"})
    elsewhere.run(upload, sample, "word-vectors", "--create-table")
    off = printed(elsewhere.run(DEPLOY, "up", *names, "--parameter", "SnapStart=on").stdout)
    assert off["SnapStart"] == "off: this region does not offer it"
    assert call(off["KimCnnUrl"], SENTENCE)[0] == 200
    elsewhere.run(DEPLOY, "down", "--yes", *names[:4])


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["up", "--kim-cnn", "none.zip"], 1, "deploy.py: none.zip: no such package"),
        (["up", "--parameter", "Memory"], 2, "'Memory' is not NAME=VALUE"),
        (["up", "--stack", "s", "--parameter", "Memory=some"], 1, "deploy.py: "),
        ([], 2, "usage: "),
    ],
)
def test_a_wrong_command_line_is_refused(cloud: Cloud, arguments: list[str], code: int, complaint: str) -> None:
    package = ["--kim-cnn", cloud.packages["kim_cnn"]] if arguments[:1] == ["up"] and code == 1 else []
    ran = cloud.run(DEPLOY, *arguments[:1], *package, *arguments[1:], check=False)
    assert ran.returncode == code
    assert complaint in ran.stderr


def test_a_caller_without_credentials_is_no_administrator(cloud: Cloud) -> None:
    """The cloud the other tests trust does enforce IAM."""
    stranger = boto3.client(
        "dynamodb",
        endpoint_url=cloud.environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="none",
    )
    with pytest.raises(ClientError, match=r"invalid|denied|not authorized"):
        stranger.scan(TableName="word-vectors")


def test_a_base64_body_is_read(cloud: Cloud, urls: dict[str, str]) -> None:
    function = next(
        item["FunctionName"]
        for item in cloud.client("lambda").list_functions()["Functions"]
        if item["Handler"] == "kim_handler.handler"
    )
    event = {"body": base64.b64encode(json.dumps(SENTENCE).encode()).decode(), "isBase64Encoded": True}
    answer = cloud.client("lambda").invoke(FunctionName=f"{function}:live", Payload=json.dumps(event))
    assert json.load(answer["Payload"])["statusCode"] == 200
