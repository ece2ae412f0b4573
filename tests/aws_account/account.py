"""Which account a run may touch, and the question before it does."""

import os
import sys

import boto3

from toolkit.cli import CommandError


def guarded_account(session: boto3.Session) -> str:
    """Return the account's number; raise CommandError unless AWS_TEST_ACCOUNT is this very account, in a region."""
    wanted = os.environ.get("AWS_TEST_ACCOUNT", "")
    if not wanted:
        raise CommandError("set AWS_TEST_ACCOUNT to the number of the account to test in; docs/test-aws.md says more")
    if not session.region_name:
        raise CommandError("name a region, with AWS_DEFAULT_REGION or aws configure")
    account = str(session.client("sts").get_caller_identity()["Account"])
    if account != wanted:
        raise CommandError(f"these credentials are for account {account}, and AWS_TEST_ACCOUNT is {wanted}")
    return account


def agreed(question: str) -> bool:
    """Ask on the terminal; raise CommandError where there is none."""
    if not sys.stdin.isatty():
        raise CommandError("it asks first; without a terminal, say --yes, or YES=1 to make")
    return input(question).lower() in ("y", "yes")
