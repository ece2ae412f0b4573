"""Deployment without a cloud: which packages are sent, what the template becomes, what is refused before."""

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tests.aws_strict.templates import resolve
from tests.conftest import ROOT
from toolkit.cli import CommandError
from toolkit.deployment import template, update
from toolkit.deployment.concurrency import shortage
from toolkit.deployment.deployed import Stack, first_failure
from toolkit.deployment.ministack_fixes import VERSION, check_version
from utils import deploy

S3 = "s3://bucket/stack/"
DEPLOYED = Stack(
    "models",
    status="UPDATE_COMPLETE",
    parameters={},
    outputs={},
    packages={"sm_cnn": f"{S3}sm", "kim_cnn": f"{S3}kim"},
    tags={},
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package of each model in build/, and mine.zip."""
    (tmp_path / "build").mkdir()
    for name in ("build/sm_cnn.zip", "build/kim_cnn.zip", "mine.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as package:
            package.writestr("handler.py", "")
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    return tmp_path


def options(**named: Path) -> argparse.Namespace:
    return argparse.Namespace(**{"sm_cnn": None, "kim_cnn": None, **named})


def test_a_first_up_sends_what_is_in_build(root: Path) -> None:
    assert deploy.choose_packages(options(), None) == {
        "sm_cnn": str(root / "build/sm_cnn.zip"),
        "kim_cnn": str(root / "build/kim_cnn.zip"),
    }


def test_a_later_up_sends_only_what_is_named_and_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.choose_packages(options(), DEPLOYED) == {}
    assert capsys.readouterr().err.splitlines() == [
        "kim_cnn stays as it is; to deploy the package in build/, name it: --kim-cnn build/kim_cnn.zip",
        "sm_cnn stays as it is; to deploy the package in build/, name it: --sm-cnn build/sm_cnn.zip",
    ]
    assert deploy.choose_packages(options(kim_cnn=root / "mine.zip"), DEPLOYED) == {"kim_cnn": str(root / "mine.zip")}
    assert capsys.readouterr().err.count("stays as it is") == 1


def test_nothing_to_deploy_is_an_error(root: Path) -> None:
    for model in ("sm_cnn", "kim_cnn"):
        (root / f"build/{model}.zip").unlink()
    with pytest.raises(CommandError, match="no package to deploy"):
        deploy.choose_packages(options(), None)
    assert deploy.choose_packages(options(), DEPLOYED) == {}


@pytest.mark.parametrize("path", ["none.zip", "/etc/passwd"])
def test_what_is_no_package_is_refused(root: Path, path: str) -> None:
    with pytest.raises(CommandError, match=rf"{path}: no such package; build it with utils/create_deployment_package"):
        deploy.choose_packages(options(kim_cnn=Path(path)), None)


def test_a_parameter_is_what_is_given_else_kept_else_the_default() -> None:
    kept = {"Memory": "1024", "Throttle": "5", "GoneFromTheTemplate": "1"}
    values = template.parameter_values(template.read(), kept, {"Throttle": "7"})
    assert (values["Memory"], values["Throttle"], values["LogRetention"]) == ("1024", "7", "14")
    assert "GoneFromTheTemplate" not in values


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"Memroy": "3"}, "no parameter Memroy; template.yaml has DeploySmCnn, "),
        ({"LogRetention": "2"}, "LogRetention can't be '2'; it is one of 1, 3, 5, "),
        ({"DeploySmCnn": "false", "DeployKimCnn": "false"}, "neither model is to be deployed"),
    ],
)
def test_parameters_that_can_not_be_meant_are_refused(given: dict[str, str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        template.parameter_values(template.read(), {}, given)


def filled(packages: dict[str, str], given: dict[str, str]) -> dict[str, Any]:
    content = template.read()
    template.fill(content, packages, template.parameter_values(content, {}, given), {})
    return content


def test_the_release_differs_when_a_parameter_does() -> None:
    def release(given: dict[str, str]) -> Any:
        return filled(DEPLOYED.packages, given)["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"]

    assert release({}) == release({"Memory": "1769"})
    assert len({release({"Memory": memory}) for memory in ("1769", "1770")} | {release({"SmCnnTable": "mine"})}) == 3


@pytest.mark.parametrize(
    ("unreserved", "reserved", "concurrency", "reserves"),
    [
        (1000, {}, "20", True),
        (140, {}, "20", True),
        (139, {}, "20", False),
        (10, {}, "20", False),  # a new account
        (10, {}, "0", True),
        (120, {"sm": 20}, "20", True),  # what a function has is its own
    ],
)
def test_concurrency_is_reserved_where_the_account_has_it(
    unreserved: int, reserved: dict[str, int], concurrency: str, reserves: bool
) -> None:
    client = boto3.client("lambda")
    values = template.parameter_values(template.read(), {}, {"Concurrency": concurrency})
    limit = {"ConcurrentExecutions": unreserved + sum(reserved.values()), "UnreservedConcurrentExecutions": unreserved}
    with Stubber(client) as stub:
        stub.add_response("get_account_settings", {"AccountLimit": limit})
        for function, number in reserved.items():
            answer = {"ReservedConcurrentExecutions": number}
            stub.add_response("get_function_concurrency", answer, {"FunctionName": function})
        why = shortage(client, list(reserved), values)
    assert bool(why) is not reserves
    content = template.read()
    template.fill(content, {}, values, {}, reserves=not why)
    function = resolve(content, values)["Globals"]["Function"]
    assert ("ReservedConcurrentExecutions" in function) is (reserves and concurrency != "0")


def test_a_model_without_a_package_is_in_the_template_without_its_code() -> None:
    resources = filled({"kim_cnn": f"{S3}kim"}, {"DeploySmCnn": "false"})["Resources"]
    assert resources["KimCnnFunction"]["Properties"]["CodeUri"] == f"{S3}kim"
    assert "CodeUri" not in resources["SmCnnFunction"]["Properties"]
    assert Path(resources["FirstRequestFunction"]["Properties"]["Code"]).is_file()


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "ARCHIVED"])
def test_a_table_that_is_not_active_is_refused_and_an_active_one_is_not(status: str) -> None:
    client = boto3.client("dynamodb")
    with Stubber(client) as stub:
        stub.add_response("describe_table", {"Table": {"TableStatus": "ACTIVE"}}, {"TableName": "a"})
        stub.add_response("describe_table", {"Table": {"TableStatus": status}}, {"TableName": "b"})
        with pytest.raises(CommandError, match=f"table b is {status}; run this again when it is ACTIVE"):
            update.check_tables(client, {"a", "b"})


def test_the_first_failure_since_an_event_is_the_reason() -> None:
    events = [
        ("5", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("4", "UPDATE_FAILED", "Resource update cancelled"),
        ("3", "UPDATE_FAILED", "it does not start"),
        ("2", "UPDATE_IN_PROGRESS", ""),
        ("1", "UPDATE_FAILED", "of the deployment before"),
    ]
    newest_first = [
        {
            "EventId": number,
            "ResourceStatus": status,
            "ResourceStatusReason": why,
            "LogicalResourceId": f"Of{number}",
        }
        for number, status, why in events
    ]
    assert first_failure(iter(newest_first), "2") == "Of3: it does not start"
    assert first_failure(iter(newest_first), "5") is None


def test_the_fixes_of_the_emulator_are_for_one_version() -> None:
    check_version(VERSION)
    with pytest.raises(RuntimeError, match=r"for MiniStack .*, not 9\.9"):
        check_version("9.9")


def test_help_has_an_example() -> None:
    shown = subprocess.run(
        [sys.executable, ROOT / "utils/deploy.py", "--help"], text=True, capture_output=True, check=True
    )
    assert "Example:" in shown.stdout
