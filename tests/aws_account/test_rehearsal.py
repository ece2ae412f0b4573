"""make test-aws, rehearsed on the local cloud: a few steps to their end, and killed; both leave the account empty.

FAULTS=full (make test-faults) rehearses all steps, and kills more often.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
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
from tests.faults.conftest import FULL, size
from toolkit.deployment.local_cloud import local_cloud

ACCOUNT = "000000000000"
FEW = "vectors,first,down"  # steps
CALLS = size(180, 950)  # of AWS by the steps and the commands that they run, about
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

    def __init__(self, environment: dict[str, str], folder: Path, aws: StrictAws | None = None) -> None:
        self.aws, self.folder = aws, folder
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

    def steps(self) -> list[str]:
        return ["--output", str(self.folder), *([] if FULL else [f"--steps={FEW}"])]

    def holds(self) -> list[str]:
        """Return everything in the account, whatever its name."""
        with patch.dict(os.environ, AWS_ENDPOINT_URL=self.environment["AWS_ENDPOINT_URL"]):
            session = boto3.Session()
            return [f"{kind} {name}" for kind, names in LISTINGS.items() for name in names(session)]

    def journals(self) -> list[Path]:
        return list(self.folder.glob("serverless-inference/*.journal"))


@pytest.fixture(scope="module")
def cloud_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("account")


@pytest.fixture(scope="module")
def strict(cloud_folder: Path) -> Iterator[tuple[StrictAws, dict[str, str]]]:
    with strict_cloud(cloud_folder / "strict.log") as cloud:
        yield cloud


def test_a_run_with_the_permissions_of_the_policy_passes_and_leaves_nothing(tmp_path: Path) -> None:
    with local_cloud(free_port(), tmp_path / "cloud.log") as environment:
        iam = boto3.client("iam", endpoint_url=environment["AWS_ENDPOINT_URL"])
        policy = json.loads(POLICY.read_text())
        policy["Statement"] += OF_THE_EMULATOR
        arn = iam.create_policy(PolicyName="deployer", PolicyDocument=json.dumps(policy))["Policy"]["Arn"]
        iam.create_user(UserName="deployer")
        iam.attach_user_policy(UserName="deployer", PolicyArn=arn)
        key = iam.create_access_key(UserName="deployer")["AccessKey"]
        credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        account = Account({**environment, **credentials}, tmp_path)
        said = account.run("run", *account.steps())
        assert "no step failed" in said
        assert account.holds() == []
        assert account.journals() == []
        report = json.loads((tmp_path / "test_aws.json").read_text())
        assert {step["outcome"] for step in report["steps"]} <= {"passed", "skipped"}
        assert report["measurements"]["none"]["duration_ms"]["p50"] > 0
        assert "| none |" in (tmp_path / "test_aws.md").read_text()


def test_the_docs_name_the_ceiling_of_the_plan() -> None:
    text = (ROOT / "docs/test-aws.md").read_text()
    assert f"at most ${plan.ceiling(False):.2f}; with SnapStart at most ${plan.ceiling(True):.2f}" in text


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


@pytest.mark.parametrize("seed", range(size(1, 8)))
def test_after_a_kill_the_clean_up_leaves_the_account_empty(
    strict: tuple[StrictAws, dict[str, str]], tmp_path: Path, seed: int
) -> None:
    aws, environment = strict
    chance = random.Random(seed)
    kind, at, lost = KILLS[seed % len(KILLS)], chance.randrange(5, CALLS), chance.random() < 0.5
    account = Account(environment, tmp_path, aws)
    process: list[subprocess.Popen[str]] = []
    aws.rules.insert(0, rule := killer(process, kind, at, lost))
    try:
        process.append(account.start("run", *account.steps()))
        _, said = process[0].communicate()
    finally:
        aws.rules.remove(rule)
    what = f"{kind} at call {at}{', which is lost' if lost else ''}: exit {process[0].returncode}"
    print(what, account.holds(), account.journals())
    if kind.startswith("KILL"):
        assert process[0].returncode == -signal.SIGKILL, said
        refused = account.run("run", *account.steps(), code=1)
        assert "make test-aws-clean" in refused
    else:
        assert process[0].returncode == {"INT": 130, "TERM": 143}[kind], said
        assert account.holds() == [], what
    started = time.monotonic()
    account.run("clean")
    print(f"cleaned in {time.monotonic() - started:.0f} s")
    assert account.holds() == [], what
    assert account.journals() == []
    assert "nothing" in account.start("clean").communicate()[0]
