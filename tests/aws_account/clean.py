"""Remove from your AWS account whatever runs of `make test-aws` have left there, and look that nothing is left.

It finds what runs made by their journals on this machine and by the names of things in the account, which have
`si-test-` and eight hexadecimal digits in them. Waits for a run that is at work.

Example:
  make test-aws-clean AWS_TEST_ACCOUNT=123456789012
"""

import os

import boto3

from tests.aws_account.account import agreed, guarded_account
from tests.aws_account.cleaning import clean, left
from tests.aws_account.journal import journals
from toolkit.cli import CommandError, log, parser, run

WAIT_SECONDS = 15 * 60  # for the commands that a killed run had started


def main() -> int:
    """Run the command line; return the exit code."""
    usage = parser(__doc__)
    usage.add_argument("--yes", action="store_true", help="do not ask")
    options = usage.parse_args()
    session = boto3.Session()
    account = guarded_account(session)
    found = list(journals(account, session.region_name))
    for journal in found:
        if not journal.lock():
            log(f"{journal.run} or a command it started is still at work; waiting for its end")
            if not journal.lock(WAIT_SECONDS):
                raise CommandError(f"{journal.run} is still at work; end it, and run this again")
    noted = [made for journal in found for made in journal.made]
    listed = left(session)
    for thing in dict.fromkeys([*noted, *listed]):
        log(f"{thing.kind} {thing.name}" + ("" if thing in listed else " (in a journal)"))
    if (noted or listed) and not options.yes and not agreed("remove these? [y/N] "):
        raise CommandError("nothing was removed")
    clean(session, noted, pause=0.2 if os.environ.get("AWS_ENDPOINT_URL") else 5.0)
    for journal in found:
        journal.remove()
    print(f"nothing of a run is left in account {account}, region {session.region_name}")
    return 0


if __name__ == "__main__":
    run(main)
