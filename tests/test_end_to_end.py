"""The main job on the local cloud with IAM enforced: vectors, packages, stack, requests over HTTP."""

import base64
import concurrent.futures
import json
import shutil
import subprocess
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
import torch
import yaml
from botocore.exceptions import ClientError

import kim_cnn.predict
from inference import model_file
from tests.conftest import ROOT, Cloud
from tests.serving import KIM, committed
from toolkit.training.model_writer import write_model

DEPLOY = ROOT / "utils/deploy.py"
STACK = "serverless-inference"
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


class Deployment:
    """The stack that most tests share, with both models."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.urls = self.up()
        self.state = self._state()

    def up(self, *options: str, **packages: Path) -> dict[str, str]:
        """Deploy both models, or what `packages` has in their place; return what is printed."""
        given = {**self.cloud.packages, **packages}
        base = ["--parameter", "Memory=1769", "--parameter", "KimCnnTable=word-vectors", "--parameter", "SnapStart=off"]
        ran = self.cloud.run(DEPLOY, "up", "--sm-cnn", given["sm_cnn"], "--kim-cnn", given["kim_cnn"], *base, *options)
        return printed(ran.stdout)

    def restore(self) -> None:
        """Bring the stack back to how it was at first, if a test has left it changed."""
        if self._state() != self.state:
            assert self.up() == self.urls
            self.state = self._state()

    def _state(self) -> tuple[Any, dict[str, str]]:
        client = self.cloud.client("cloudformation")
        described = client.describe_stacks(StackName=STACK)["Stacks"][0]
        template = client.get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
        kept = {item["ParameterKey"]: item["ParameterValue"] for item in described["Parameters"]}
        return template, kept


@pytest.fixture(scope="module")
def shared(cloud: Cloud) -> Iterator[Deployment]:
    """Both models deployed, once for all tests of this file."""
    yield Deployment(cloud)
    cloud.run(DEPLOY, "down", "--yes")


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """Both models deployed as `up` deploys them, whatever the test before did."""
    shared.restore()
    return shared


@pytest.fixture
def urls(deployment: Deployment) -> dict[str, str]:
    """Where both models are served."""
    return deployment.urls


def printed(stdout: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in stdout.splitlines())


def test_both_sample_requests_are_answered(urls: dict[str, str]) -> None:
    status, answer, headers = call(urls["SmCnnUrl"], PAIR)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert answer["sent1"] == PAIR["sent1"]
    assert [len(row) for row in answer["score"]] == [2]
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
    status, _, headers = call(url, method="PUT")
    assert (status, headers["Access-Control-Allow-Origin"]) == (405, "*")
    assert call(url.replace("kim_cnn", "no_such_model"), SENTENCE)[0] == 404


def test_get_says_what_the_deployed_model_is(urls: dict[str, str]) -> None:
    status, about, headers = call(urls["KimCnnUrl"], method="GET")
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert about == {"model": "kim_cnn", "labels": committed(KIM).config["labels"], **(committed(KIM).card or {})}


def test_a_preflight_lets_a_browser_post_json(urls: dict[str, str]) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    status, _, headers = call(urls["KimCnnUrl"], method="OPTIONS", **asked)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "content-type" in headers["Access-Control-Allow-Headers"]


def test_the_functions_role_may_read_its_table_in_batches_and_nothing_else(
    cloud: Cloud, shared: Deployment, tmp_path: Path
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
    _, outcome, _ = call(shared.up(kim_cnn=probe)["KimCnnUrl"], SENTENCE)
    assert outcome.pop("read") == "allowed"
    assert set(outcome.values()) == {"AccessDeniedException"}, outcome


def test_without_the_permission_to_read_the_caller_gets_a_clean_500_and_the_log_names_it(
    cloud: Cloud, urls: dict[str, str]
) -> None:
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    permission = {"RoleName": ids["KimCnnRole"], "PolicyArn": ids["KimCnnReads"]}
    cloud.client("iam").detach_role_policy(**permission)
    try:
        status, answer, headers = call(urls["KimCnnUrl"], {"input": "some words that no cache has seen"})
    finally:
        cloud.client("iam").attach_role_policy(**permission)
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
    cloud: Cloud, deployment: Deployment, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    _, content = model_file.read(ROOT / "kim_cnn.model", "kim_cnn", kim_cnn.predict.build)
    module = kim_cnn.predict.build(content["config"])
    write_model(tmp_path / "kim_cnn.model", "kim_cnn", content["config"], module.state_dict())
    package = tmp_path / "kim_cnn.zip"
    shutil.copy(cloud.packages["kim_cnn"], package)
    with zipfile.ZipFile(cloud.packages["kim_cnn"]) as old, zipfile.ZipFile(package, "w") as new:
        for name in old.namelist():
            new.writestr(name, (tmp_path / name).read_bytes() if name == "kim_cnn.model" else old.read(name))
    url = deployment.urls["KimCnnUrl"]
    before = call(url, SENTENCE)[1]["output"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        done: list[bool] = []
        traffic = [pool.submit(lambda: keep_calling(url, done)) for _ in range(2)]
        pool.submit(deployment.up, kim_cnn=package).result()
        time.sleep(0.5)
        done.append(True)
        answers = [answer for future in traffic for answer in future.result()]
    assert {status for status, _ in answers} == {200}
    outputs = {json.dumps(output) for _, output in answers}
    assert json.dumps(before) in outputs
    assert len(outputs) == 2
    assert call(url, SENTENCE)[1]["output"] != before


def keep_calling(url: str, done: list[bool]) -> list[tuple[int, Any]]:
    answers = []
    while not done:
        status, answer, _ = call(url, SENTENCE)
        answers.append((status, answer.get("output")))
    return answers


def test_a_broken_package_is_not_deployed_and_the_previous_version_keeps_serving(
    cloud: Cloud, urls: dict[str, str], tmp_path: Path
) -> None:
    before = call(urls["KimCnnUrl"], SENTENCE)[1]["output"]
    broken = tmp_path / "kim_cnn.zip"
    with zipfile.ZipFile(broken, "w") as package:
        package.writestr("kim_handler.py", "import a_library_that_was_left_out")
    ran = cloud.run(DEPLOY, "up", "--kim-cnn", broken, check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert "KimCnnFirstRequest" in last
    assert "No module named 'a_library_that_was_left_out'" in last
    assert "the previous version keeps serving" in last
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["output"] == before


def test_deploying_the_same_again_changes_nothing(deployment: Deployment) -> None:
    deployment.up()  # the first after one that failed makes versions of its own
    before = versions(deployment.cloud)
    assert deployment.up() == deployment.urls
    assert versions(deployment.cloud) == before


def versions(cloud: Cloud) -> dict[str, str]:
    """Return the version that each function of the shared stack serves."""
    client = cloud.client("lambda")
    names = [function["FunctionName"] for function in client.list_functions()["Functions"]]
    served = [name for name in names if name.startswith(STACK) and "CnnFunction" in name]
    return {name: client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in served}


def test_a_plain_up_changes_a_parameter_and_keeps_what_was_deployed_from_other_files(
    cloud: Cloud, urls: dict[str, str]
) -> None:
    """The packages of this test are not in build/, where a first `up` would look for them."""
    code = {item["Handler"]: item["CodeSha256"] for item in cloud.client("lambda").list_functions()["Functions"]}
    assert urls.items() <= printed(cloud.run(DEPLOY, "up", "--parameter", "Memory=1024").stdout).items()
    functions = [item for item in cloud.client("lambda").list_functions()["Functions"] if STACK in item["FunctionName"]]
    assert {item["MemorySize"] for item in functions if "CnnFunction" in item["FunctionName"]} == {1024}
    assert {item["CodeSha256"] for item in functions} <= set(code.values())
    assert call(urls["SmCnnUrl"], PAIR)[0] == call(urls["KimCnnUrl"], SENTENCE)[0] == 200


def test_urls_prints_the_urls_and_changes_nothing(cloud: Cloud, urls: dict[str, str]) -> None:
    before = versions(cloud)
    shown = printed(cloud.run(DEPLOY, "urls").stdout)
    assert shown == {name: url for name, url in urls.items() if name.endswith("Url")}
    assert versions(cloud) == before


def sam_deploy(
    environment: dict[str, str], folder: Path, packages: dict[str, Path]
) -> subprocess.CompletedProcess[str]:
    """Run the very line of README.md in a folder laid out as the checkout, with `packages` in its build/."""
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    sam deploy"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "toolkit/deployment/first_request", folder / "toolkit/deployment/first_request")
    (folder / "build").mkdir()
    for path in packages.values():
        shutil.copy(path, folder / "build")
    return subprocess.run(
        ["bash", "-c", line.partition("#")[0]], env=environment, cwd=folder, check=False, text=True, capture_output=True
    )


def test_the_sam_line_of_the_readme_deploys_a_new_version_of_the_same_stack(
    cloud: Cloud, urls: dict[str, str], tmp_path: Path
) -> None:
    before = versions(cloud)
    ran = sam_deploy(cloud.environment, tmp_path, cloud.packages)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert urls["KimCnnUrl"] in ran.stdout
    assert not versions(cloud).items() & before.items()
    assert call(urls["KimCnnUrl"], SENTENCE)[0] == 200


def test_with_wrong_credentials_the_sam_line_of_the_readme_fails_for_them_alone(cloud: Cloud, tmp_path: Path) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "none"}
    ran = sam_deploy({**cloud.environment, **wrong}, tmp_path, cloud.packages)
    assert ran.returncode == 1
    assert "InvalidClientTokenId" in ran.stdout + ran.stderr


def test_no_template_that_cloudformation_gets_has_an_alias(cloud: Cloud, urls: dict[str, str]) -> None:
    """CloudFormation refuses YAML aliases; the emulator does not."""
    sent = cloud.client("cloudformation").get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
    for text in ((ROOT / "template.yaml").read_text(), sent if isinstance(sent, str) else json.dumps(sent)):
        marks = [token for token in yaml.scan(text) if isinstance(token, (yaml.AliasToken, yaml.AnchorToken))]
        assert marks == []


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
    assert call(outputs["KimCnnUrl"], SENTENCE)[0] == 200
    tables = cloud.client("dynamodb").list_tables()["TableNames"]
    refused = cloud.run(DEPLOY, "down", *names, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "deploy.py: removing asks first; without a terminal, say --yes\n"
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


def test_an_empty_table_is_not_deployed(cloud: Cloud, urls: dict[str, str]) -> None:
    make_table(cloud, "empty")
    before = call(urls["KimCnnUrl"], SENTENCE)[1]["output"]
    ran = cloud.run(DEPLOY, "up", "--parameter", "KimCnnTable=empty", check=False)
    assert ran.returncode == 1
    assert "table empty does not have the words" in ran.stderr.splitlines()[-1]
    assert call(urls["KimCnnUrl"], SENTENCE)[1]["output"] == before


def test_a_table_that_is_not_there_is_named_before_anything_is_deployed(cloud: Cloud) -> None:
    names: list[str | Path] = ["--stack", "tableless", "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *names, "--parameter", "KimCnnTable=no-such-table", check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "deploy.py: no table no-such-table here; upload word vectors to it first"
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    assert "tableless" not in [stack["StackName"] for stack in stacks]


def test_snapstart_is_on_where_the_region_has_it(cloud: Cloud, shared: Deployment) -> None:
    urls = shared.up("--parameter", "SnapStart=on")
    assert urls["SnapStart"] == "on"
    assert call(urls["KimCnnUrl"], SENTENCE)[0] == 200
    for name, number in versions(cloud).items():
        version = cloud.client("lambda").get_function_configuration(FunctionName=name, Qualifier=number)
        assert version["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}


def test_snapstart_is_said_to_be_off_where_the_region_does_not_have_it(cloud: Cloud) -> None:
    elsewhere = replace(cloud, environment={**cloud.environment, "AWS_DEFAULT_REGION": "ap-east-2"})
    sample = ROOT / "data/glove.6B.50d.sample.txt.gz"
    elsewhere.run(ROOT / "utils/upload_word_vectors_to_dynamo.py", sample, "word-vectors", "--create-table")
    names: list[str | Path] = ["--stack", "snap", "--kim-cnn", cloud.packages["kim_cnn"]]
    off = printed(elsewhere.run(DEPLOY, "up", *names, "--parameter", "SnapStart=on").stdout)
    assert off["SnapStart"] == "off: this region does not offer it"
    assert call(off["KimCnnUrl"], SENTENCE)[0] == 200


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["up", "--kim-cnn", "none.zip"], 1, "deploy.py: none.zip: no such package"),
        (["up", "--kim-cnn", "/etc/passwd"], 1, "deploy.py: /etc/passwd: no such package"),
        (["up", "--parameter", "Memory"], 2, "'Memory' is not NAME=VALUE"),
        (["up", "--parameter", "Memroy=3"], 1, "deploy.py: no parameter Memroy; template.yaml has DeploySmCnn, "),
        (["up", "--parameter", "Memory=some"], 1, "deploy.py: sam deploy failed; its message is above"),
        (["urls"], 1, "deploy.py: no stack s here"),
        ([], 2, "usage: "),
    ],
)
def test_a_wrong_command_line_is_refused(cloud: Cloud, arguments: list[str], code: int, complaint: str) -> None:
    package: list[str | Path] = ["--sm-cnn", cloud.packages["sm_cnn"]] if arguments[:1] == ["up"] else []
    stack = ["--stack", "s"] if arguments else []
    ran = cloud.run(DEPLOY, *arguments[:1], *stack, *package, *arguments[1:], check=False)
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
