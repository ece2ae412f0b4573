"""The main job on a cloud as strict as AWS: vectors, packages, stack, requests over HTTP. Both models in one stack."""

import base64
import json
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import torch
from botocore.exceptions import ClientError

import kim_cnn.predict
from inference import model_file
from tests.aws_strict import rules
from tests.conftest import KIM_VECTORS, ROOT, Cloud
from tests.serving import KIM, committed
from tests.stacks import (
    DEPLOY,
    PAIR,
    SENTENCE,
    call,
    fresh_words,
    make_table,
    printed,
    send,
    served,
    under_traffic,
    versions,
)
from toolkit.training.model_writer import write_model

STACK = "serverless-inference"


class Deployment:
    """The stack that most tests share, with both models."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.urls = self.up()
        self.code = self._code("live")

    def up(self, *options: str, **packages: Path) -> dict[str, str]:
        """Deploy both models, or what `packages` has in their place; return what is printed."""
        given = {**self.cloud.packages, **packages}
        ran = self.cloud.run(DEPLOY, "up", "--sm-cnn", given["sm_cnn"], "--kim-cnn", given["kim_cnn"], *options)
        return printed(ran.stdout)

    def rollback(self) -> None:
        """Let the versions before the last deployment serve again."""
        self.cloud.run(DEPLOY, "rollback")

    def restore(self) -> None:
        """Bring the packages back that were there at first, if a test has left others; parameters may differ."""
        if not self._code("live") == self._code("$LATEST") == self.code:
            self.up()

    def _code(self, version: str) -> dict[str, str]:
        return {handler: item["CodeSha256"] for handler, item in served(self.cloud, STACK, version).items()}


@pytest.fixture(scope="module")
def shared(cloud: Cloud) -> Iterator[Deployment]:
    """Both models deployed, once for all tests of this file."""
    yield Deployment(cloud)
    cloud.run(DEPLOY, "down", "--yes")


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """Both models deployed from the packages of the cloud, whatever the test before did."""
    shared.restore()
    return shared


@pytest.fixture
def urls(deployment: Deployment) -> dict[str, str]:
    """Where both models are served."""
    return deployment.urls


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


def test_parameters_without_packages_reach_both_functions_and_fail_no_request(
    cloud: Cloud, deployment: Deployment
) -> None:
    """The packages of this test are not in build/, where a first `up` would look for them."""
    upload = ROOT / "utils/upload_word_vectors_to_dynamo.py"
    cloud.run(upload, KIM_VECTORS, "others", "--create-table")
    wanted = ("Memory=1024", "KimCnnTable=others", "SnapStart=off")
    options = [word for each in wanted for word in ("--parameter", each)]
    url, shown = deployment.urls["KimCnnUrl"], {}
    answers = under_traffic(url, fresh_words, lambda: shown.update(printed(cloud.run(DEPLOY, "up", *options).stdout)))
    assert len(answers) > 20
    assert {status for status, _ in answers} == {200}
    assert shown == deployment.urls
    for function in served(cloud, STACK).values():
        assert function["MemorySize"] == 1024
        assert function["CodeSha256"] == deployment.code[function["Handler"]]
    assert call(deployment.urls["SmCnnUrl"], PAIR)[0] == call(url, SENTENCE)[0] == 200
    back = under_traffic(url, fresh_words, deployment.rollback)  # to the version with the table before
    assert {status for status, _ in back} == {200}


def test_urls_prints_the_urls_and_changes_nothing(cloud: Cloud, urls: dict[str, str]) -> None:
    before = versions(cloud, STACK)
    shown = printed(cloud.run(DEPLOY, "urls").stdout)
    assert shown == {name: url for name, url in urls.items() if name.endswith("Url")}
    assert versions(cloud, STACK) == before


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


def test_the_sam_line_of_the_readme_deploys_a_new_version_of_the_same_stack_and_rollback_knows_the_one_before(
    cloud: Cloud, deployment: Deployment, tmp_path: Path
) -> None:
    urls = deployment.urls
    before = versions(cloud, STACK)
    ran = sam_deploy(cloud.environment, tmp_path, cloud.packages)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert urls["KimCnnUrl"] in ran.stdout
    assert not versions(cloud, STACK).items() & before.items()
    assert call(urls["KimCnnUrl"], SENTENCE)[0] == 200
    deployment.rollback()
    assert versions(cloud, STACK) == before


def test_a_table_that_is_not_there_is_named_before_anything_is_deployed(cloud: Cloud) -> None:
    names: list[str | Path] = ["--stack", "tableless", "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *names, "--parameter", "KimCnnTable=no-such-table", check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == "deploy.py: no table no-such-table here; upload word vectors to it first"
    stacks = cloud.client("cloudformation").list_stacks()["StackSummaries"]
    assert "tableless" not in [stack["StackName"] for stack in stacks]


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["up", "--parameter", "Memory"], 2, "'Memory' is not NAME=VALUE"),
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
        "read": lambda: client.batch_get_item(RequestItems={"kim-vectors": {"Keys": [key]}}),
        "get": lambda: client.get_item(TableName="kim-vectors", Key=key),
        "scan": lambda: client.scan(TableName="kim-vectors"),
        "put": lambda: client.put_item(TableName="kim-vectors", Item=key),
        "delete": lambda: client.delete_item(TableName="kim-vectors", Key=key),
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
    url = shared.up("--parameter", "KimCnnTable=kim-vectors", kim_cnn=probe)["KimCnnUrl"]
    with cloud.aws.without(rules.read_before_the_permission_has_spread):  # which denies, too
        _, outcome, _ = send(url, SENTENCE)
    shared.rollback()
    assert outcome.pop("read") == "allowed"
    assert set(outcome.values()) == {"AccessDeniedException"}, outcome


def test_new_weights_and_snapstart_over_running_traffic_fail_no_request_and_change_the_answers(
    cloud: Cloud, deployment: Deployment, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    _, content = model_file.read(ROOT / "kim_cnn.model", "kim_cnn", kim_cnn.predict.build)
    module = kim_cnn.predict.build(content["config"])
    write_model(tmp_path / "kim_cnn.model", "kim_cnn", content["config"], module.state_dict())
    package = tmp_path / "kim_cnn.zip"
    with zipfile.ZipFile(cloud.packages["kim_cnn"]) as old, zipfile.ZipFile(package, "w") as new:
        for name in old.namelist():
            new.writestr(name, (tmp_path / name).read_bytes() if name == "kim_cnn.model" else old.read(name))
    url = deployment.urls["KimCnnUrl"]
    before = call(url, SENTENCE)[1]["output"]
    options, shown = ("--parameter", "SnapStart=on"), {}
    answers = under_traffic(url, lambda: SENTENCE, lambda: shown.update(deployment.up(*options, kim_cnn=package)))
    assert shown == {**deployment.urls, "SnapStart": "on"}
    for function in served(cloud, STACK).values():
        assert function["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert {status for status, _ in answers} == {200}
    outputs = {json.dumps(body["output"]) for _, body in answers}
    assert json.dumps(before) in outputs
    assert len(outputs) == 2
    assert call(url, SENTENCE)[1]["output"] != before
    deployment.rollback()
    assert call(url, SENTENCE)[1]["output"] == before
