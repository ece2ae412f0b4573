"""Versions over several deployments: which one serves, which one `rollback` goes back to, which ones are kept."""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from toolkit.deployment import versions

FUNCTIONS = {"sm_cnn": "sm", "kim_cnn": "kim"}


@pytest.fixture
def client() -> Iterator[Any]:
    """A client of an account with two functions that have no version yet."""
    with mock_aws():
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        client = boto3.client("lambda")
        for name in FUNCTIONS.values():
            client.create_function(FunctionName=name, Role=role, Runtime="python3.13", Handler="h.h", Code=code(name))
        yield client


def code(content: str) -> dict[str, bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        package.writestr("h.py", content)
    return {"ZipFile": file.getvalue()}


def change(client: Any, time: str, *changed: str, table: str = "t") -> None:
    """Do what CloudFormation does: publish new versions of what has changed, and let them be live."""
    for name in changed:
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {"RELEASE": time, "WORD_VECTORS_TABLE": table}}
        )
        client.update_function_code(FunctionName=name, **code(time))
        version = client.publish_version(FunctionName=name)["Version"]
        try:
            client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        except client.exceptions.ResourceNotFoundException:
            client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)


def look(client: Any, time: str) -> None:
    for name in FUNCTIONS.values():
        versions.note(client, name, time)


def deploy(client: Any, time: str, *changed: str, table: str = "t") -> None:
    """Do what `up` does."""
    look(client, f"{time}, before")
    change(client, time, *changed, table=table)
    look(client, time)
    for name in FUNCTIONS.values():
        versions.delete_unnamed(client, name)


def kept(client: Any, name: str) -> set[str]:
    found = client.list_versions_by_function(FunctionName=name)["Versions"]
    return {version["Version"] for version in found} - {"$LATEST"}


def test_the_live_version_and_the_one_before_are_kept(client: Any) -> None:
    for time in ("1", "2", "3"):
        deploy(client, time, "kim")
    assert versions.named(client, "kim") == "3"
    assert kept(client, "kim") == {"2", "3"}


def test_a_first_deployment_leaves_nothing_to_go_back_to(client: Any) -> None:
    deploy(client, "1", "kim", "sm")
    assert versions.before_last_deployment(client, FUNCTIONS) == {}


def test_only_what_the_last_deployment_changed_goes_back(client: Any) -> None:
    deploy(client, "1", "kim", "sm")
    deploy(client, "2", "kim", "sm")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"sm_cnn": "1", "kim_cnn": "1"}
    deploy(client, "3", "kim")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "2"}


def test_a_deployment_that_changes_nothing_forgets_nothing(client: Any) -> None:
    deploy(client, "1", "kim")
    deploy(client, "2", "kim")
    deploy(client, "3")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "1"}


def test_after_a_rollback_the_next_version_before_is_the_one_it_chose(client: Any) -> None:
    for time in ("1", "2"):
        deploy(client, time, "kim")
    versions.go_back(client, "kim", "1")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "1"}, "twice is harmless"
    deploy(client, "3", "kim")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "1"}
    assert kept(client, "kim") == {"1", "3"}


def test_going_back_ends_a_canary_that_stopped_on_its_way(client: Any) -> None:
    for time in ("1", "2"):
        deploy(client, time, "kim")
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    client.update_alias(FunctionName="kim", Name="live", FunctionVersion="1", RoutingConfig=weights)
    versions.go_back(client, "kim", "1")
    assert not client.get_alias(FunctionName="kim", Name="live")["RoutingConfig"].get("AdditionalVersionWeights")


def test_a_change_by_others_is_found_at_the_next_look(client: Any) -> None:
    """By `sam deploy`, or by CloudFormation after an `up` was killed."""
    for time in ("1", "2"):
        deploy(client, time, "kim")
    change(client, "3", "kim")
    look(client, "4")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "2"}
    deploy(client, "5", "kim")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "3"}
    assert kept(client, "kim") == {"3", "4"}


@pytest.mark.parametrize("calls", range(4))
def test_a_kill_while_it_notes_or_goes_back_loses_no_version(
    client: Any, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """After so many changes of aliases; the next command then finishes what was begun."""
    deploy(client, "1", "kim")
    deploy(client, "2", "kim")
    change(client, "3", "kim")
    done: list[Any] = []
    point = versions._point

    def killed(*arguments: Any, **to: str) -> None:
        if len(done) == calls:
            raise KeyboardInterrupt
        point(*arguments, **to)
        done.append(arguments)

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(versions, "_point", killed)
        look(client, "4")
        versions.go_back(client, "kim", "2")
    look(client, "5")
    assert versions.before_last_deployment(client, FUNCTIONS) == {"kim_cnn": "2"}


def test_the_tables_of_kept_versions_are_known(client: Any) -> None:
    deploy(client, "1", "kim", table="old")
    deploy(client, "2", "kim", table="new")
    assert versions.tables(client, "kim") == {"old", "new"}
    assert versions.tables(client, "sm") == set()
