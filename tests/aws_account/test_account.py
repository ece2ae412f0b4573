"""Nothing begins in an account, or after a run, that the owner did not mean."""

from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws

from tests.aws_account import run
from tests.aws_account.account import agreed, guarded_account
from tests.aws_account.cleaning import Made
from tests.aws_account.journal import Journal, new_run
from toolkit.cli import CommandError

ACCOUNT = "123456789012"  # moto's


@pytest.mark.parametrize(
    ("named", "region", "complaint"),
    [
        (None, "us-east-1", "set AWS_TEST_ACCOUNT"),
        ("999999999999", "us-east-1", "for account 123456789012, and AWS_TEST_ACCOUNT is 999999999999"),
        (ACCOUNT, None, "name a region"),
    ],
)
def test_another_account_or_no_region_is_refused(
    monkeypatch: pytest.MonkeyPatch, named: str | None, region: str | None, complaint: str
) -> None:
    for name, value in (("AWS_TEST_ACCOUNT", named), ("AWS_DEFAULT_REGION", region)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    with mock_aws(), pytest.raises(CommandError, match=complaint):
        guarded_account(boto3.Session())


def test_the_account_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_TEST_ACCOUNT", ACCOUNT)
    with mock_aws():
        assert guarded_account(boto3.Session()) == ACCOUNT


def test_without_a_terminal_nothing_is_agreed_to() -> None:
    with pytest.raises(CommandError, match="--yes, or YES=1"):
        agreed("go on?")


def test_what_an_earlier_run_left_is_named_with_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    session = boto3.Session()
    clean = f"make test-aws-clean AWS_TEST_ACCOUNT={ACCOUNT} removes it"
    made = patch.object(run, "left", return_value=[Made("table", "si-test-0a1b2c3d-words")])
    with made, pytest.raises(CommandError, match=f"there is table si-test-0a1b2c3d-words; {clean}"):
        run.refuse_leftovers(session, ACCOUNT)
    with patch.object(run, "left", return_value=[]):
        run.refuse_leftovers(session, ACCOUNT)
        Journal.begin(new_run(), ACCOUNT, "us-east-1").file.close()
        with pytest.raises(CommandError, match=rf"there is journal .*\.journal; {clean}"):
            run.refuse_leftovers(session, ACCOUNT)
