"""make test-aws, rehearsed on the local cloud: a few steps, and a kill after which nothing is left.

FAULTS=full (make test-faults) takes all steps, and kills at random calls, with AWS's refusals in front of the cloud.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest

from tests.aws_account import plan
from tests.aws_account.cleaning import LISTINGS
from tests.aws_strict.call import ADMINISTRATOR, Answer, Call, History, error
from tests.aws_strict.proxy import StrictAws, strict_cloud
from tests.conftest import ROOT, free_port
from tests.faults.conftest import FULL
from toolkit.deployment import template
from toolkit.deployment.local_cloud import local_cloud

ACCOUNT = "000000000000"
CALLS = 900  # of AWS, by all steps and the commands that they run, but for batches of words
KILLS = ["KILL", "KILL ALL", "INT", "TERM"]
POLICY = ROOT / "docs/deployer-policy.json"
OF_THE_EMULATOR = [  # it does not find the table in some requests, and gives log groups names of another form
    {
        "Effect": "Allow",
        "Action": ["dynamodb:ImportTable", "dynamodb:DescribeImport", "dynamodb:TagResource"],
        "Resource": "*",
    },
    {"Effect": "Allow", "Action": "logs:*", "Resource": "arn:aws:logs:*:*:log-group:/aws/cloudformation/si-test-*"},
]


class Account:
    """An account of the local cloud in which runs are rehearsed."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.folder = folder
        self.environment = {**environment, "AWS_TEST_ACCOUNT": ACCOUNT, "XDG_STATE_HOME": str(folder)}

    def start(self, module: str, *options: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", f"tests.aws_account.{module}", "--yes", *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=ROOT, env=self.environment, text=True, stdout=pipe, stderr=pipe)

    def run(self, module: str, *options: str, code: int = 0) -> str:
        """Run to the end; return what is said on the way."""
        process = self.start(module, *options)
        _, stderr = process.communicate()
        assert process.returncode == code, stderr
        return stderr

    def holds(self) -> list[str]:
        """Return everything in the account, whatever its name, but for the policy of its user."""
        with patch.dict(os.environ, AWS_ENDPOINT_URL=self.environment["AWS_ENDPOINT_URL"]):
            session = boto3.Session()
            return [f"{kind} {name}" for kind, names in LISTINGS.items() for name in names(session)
                    if name != "deployer"]  # fmt: skip

    def journals(self) -> list[Path]:
        return list(self.folder.glob("serverless-inference/*.journal"))


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account on the plain local cloud, with the credentials of a user who has the policy of the docs."""
    folder = tmp_path_factory.mktemp("account")
    with local_cloud(free_port(), folder / "cloud.log") as environment:
        iam = boto3.client("iam", endpoint_url=environment["AWS_ENDPOINT_URL"])
        policy = json.loads(POLICY.read_text())
        policy["Statement"] += OF_THE_EMULATOR
        arn = iam.create_policy(PolicyName="deployer", PolicyDocument=json.dumps(policy))["Policy"]["Arn"]
        iam.create_user(UserName="deployer")
        iam.attach_user_policy(UserName="deployer", PolicyArn=arn)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        yield Account({**environment, **credentials}, folder)


def test_the_first_steps_pass_and_a_kill_in_the_next_leaves_nothing_that_is_not_cleaned(account: Account) -> None:
    process = account.start("run", "--output", str(account.folder), "--steps=vectors,first,down")
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("down:"):
            break
    process.kill()
    process.communicate()
    assert "WRONG" not in said, said
    assert said.count("  passed in ") == 2
    refused = account.run("run", code=1)
    assert "make test-aws-clean" in refused
    account.run("clean")
    assert account.holds() == []
    assert account.journals() == []


@pytest.mark.skipif(not FULL, reason="takes minutes; FAULTS=full asks for it")
def test_a_run_passes_and_leaves_nothing(account: Account) -> None:
    said = account.run("run", "--output", str(account.folder))
    assert "no step failed" in said
    assert account.holds() == []
    assert account.journals() == []
    report = json.loads((account.folder / "test_aws.json").read_text())
    assert {step["outcome"] for step in report["steps"]} == {"passed", "skipped"}
    assert report["measurements"]["none"]["duration_ms"]["p50"] > 0


def test_the_docs_name_the_ceiling_of_the_plan() -> None:
    text = (ROOT / "docs/test-aws.md").read_text()
    assert f"at most ${plan.ceiling(False):.2f}; with SnapStart at most ${plan.ceiling(True):.2f}" in text


def test_the_policy_names_every_service_of_the_template_and_fits_into_one_policy_of_iam() -> None:
    """docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: 6,144 characters but for white space."""
    policy = json.loads(POLICY.read_text())
    assert len("".join(json.dumps(policy).split())) <= 6144
    policies = [policy, json.loads(POLICY.with_name("batch-policy.json").read_text())]  # the second with Batch=on alone
    actions = json.dumps([statement["Action"] for each in policies for statement in each["Statement"]])
    types = {each["Type"] for each in template.read()["Resources"].values()}
    named = {"apigatewayv2": "apigateway", "serverless": "lambda", "stepfunctions": "states"}
    services = {kind.split("::")[1].lower() for kind in types if kind.startswith("AWS::")}
    assert [name for name in sorted(services) if f'"{named.get(name, name)}:' not in actions] == []


def killer(process: list[subprocess.Popen[str]], kind: str, at: int, lost: bool) -> Any:
    """Return a rule that kills the process at its call number `at`, which is `lost`, or still reaches the cloud."""
    calls = itertools.count(1)

    def kill(call: Call, past: History, client: Any) -> Answer | None:
        counts = call.caller == ADMINISTRATOR and not call.operation.startswith("Batch")  # of words there are hundreds
        if not counts or next(calls) != at:
            return None
        for pid in [*(descendants(process[0].pid) if kind == "KILL ALL" else []), process[0].pid]:
            os.kill(pid, getattr(signal, f"SIG{kind.split()[0]}"))
        return error(call, 500, "InternalFailure", "lost") if lost else None

    return kill


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in children for each in [*descendants(child), child]]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StrictAws, dict[str, str]]]:
    """A local cloud behind AWS's refusals."""
    with strict_cloud(free_port(), tmp_path_factory.mktemp("strict") / "cloud.log") as cloud:
        yield cloud


@pytest.mark.skipif(not FULL, reason="takes minutes; FAULTS=full asks for it")
@pytest.mark.parametrize("seed", range(8))
def test_after_a_kill_at_any_call_the_clean_up_leaves_the_account_empty(
    strict: tuple[StrictAws, dict[str, str]], tmp_path: Path, seed: int
) -> None:
    aws, environment = strict
    chance = random.Random(seed)
    kind, at, lost = KILLS[seed % len(KILLS)], chance.randrange(5, CALLS), chance.random() < 0.5
    account = Account(environment, tmp_path)
    process: list[subprocess.Popen[str]] = []
    with aws.also(killer(process, kind, at, lost)):
        process.append(account.start("run", "--output", str(tmp_path)))
        _, said = process[0].communicate()
    what = f"{kind} at call {at}{', which is lost' if lost else ''}: exit {process[0].returncode}"
    print(what, account.holds(), account.journals())
    if kind.startswith("KILL"):
        assert process[0].returncode == -signal.SIGKILL, said
        refused = account.run("run", code=1)
        assert "make test-aws-clean" in refused
    else:
        assert process[0].returncode in ({"INT": 130, "TERM": 143}[kind], 0), said  # 0 from the clean-up, which goes on
        assert account.holds() == [], what
    account.run("clean")
    assert account.holds() == [], what
    assert account.journals() == []
