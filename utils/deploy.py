"""Put the deployment packages behind a URL, or take all of it away again, with AWS SAM CLI.

  up        checks that the tables are there, runs `sam deploy` on template.yaml, and prints the URLs to stdout; with
            --page, it puts the demo page on the web too
  urls      prints the URLs
  rollback  lets the version before the last deployment serve again, at once
  down      removes the stack, its packages, page and batches with `sam delete`; never a table

The first `up` deploys the packages in build/. Later ones replace a model only when they name its package; a parameter
keeps its value until it is given another. A change under way is waited for. Region, profile and credentials as for
every AWS tool.

Example:
  python utils/deploy.py up --stack my-models --parameter KimCnnTable=kim-vectors
  python utils/deploy.py up --stack my-models --kim-cnn build/kim_cnn.zip
  python utils/deploy.py rollback --stack my-models
  python utils/deploy.py down --stack my-models
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
import itertools
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from toolkit import cli
from toolkit.cli import CommandError, log, run
from toolkit.deployment import concurrency, deployed, page, versions, worst_bill
from toolkit.deployment.deployed import Stack
from toolkit.deployment.sam import Sam
from toolkit.deployment.template import MODELS, ROOT, tables
from toolkit.deployment.update import make_updatable, note_live, now, update

Options = argparse.Namespace
FEW = 50  # functions at once; a new account has 10, the default is 1,000
URLS_SECONDS = 30  # API Gateway takes its routes into service a little after CloudFormation has made them


def sam_of(options: Options) -> Sam:
    """Return SAM CLI for the stack that the command line names."""
    return Sam(options.stack, options.bucket, options.region, options.profile)


def choose_packages(options: Options, stack: Stack | None) -> dict[str, str]:
    """Return the packages to send, by model: those that the command names; for a first deployment, those in build/."""
    named = {model: path for model in MODELS if (path := getattr(options, model))}
    built = {model: path for model in MODELS if (path := ROOT / f"build/{model}.zip").exists()}
    chosen = named if named or stack else built
    for path in chosen.values():
        if not zipfile.is_zipfile(path):
            raise CommandError(f"{path}: no such package; build it with utils/create_deployment_package.sh")
    if not (chosen or stack):
        raise CommandError("no package to deploy; build one with utils/create_deployment_package.sh")
    for model in sorted(built.keys() - chosen.keys()):
        option = f"--{model.replace('_', '-')} {built[model].relative_to(ROOT)}"
        log(f"{model} stays as it is; to deploy the package in build/, name it: {option}")
    return {model: str(path.resolve()) for model, path in chosen.items()}


def account_of(session: boto3.Session) -> str:
    """Return the number of the account, which S3 is told to be the owner of every bucket."""
    return str(session.client("sts").get_caller_identity()["Account"])


def check_bucket(session: boto3.Session, bucket: str) -> None:
    """Raise CommandError for a bucket that is not this account's: its owner would get, and could replace, the code."""
    account = account_of(session)
    try:
        session.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            raise CommandError(f"no bucket {bucket}; make it, or leave out --bucket") from None
        raise CommandError(
            f"bucket {bucket} is not of account {account}, or these credentials lack s3:ListBucket on it"
        ) from None


def up(session: boto3.Session, options: Options) -> Stack:
    """Create or update the stack and return it; raise CommandError with the reason when that fails."""
    if options.bucket:
        check_bucket(session, options.bucket)
    stack = make_updatable(deployed.cloudformation(session), sam_of(options))
    sent = choose_packages(options, stack)
    packages = {**(stack.packages if stack else {}), **sent}
    given = {f"Deploy{MODELS[model]}": "true" for model in sent}
    given |= {f"Deploy{MODELS[model]}": "false" for model in MODELS.keys() - packages.keys()}
    # Lambda would not publish what a deployment that failed has published already.
    if options.renew or (stack and stack.status == "UPDATE_ROLLBACK_COMPLETE"):
        given["Release"] = now()
    return update(session, sam_of(options), stack, packages, given | dict(options.parameter), dict(options.tag))


def warn_of_quota(lambdas: Any) -> None:
    """Say when the account runs so few functions at once that callers are likely to be turned away."""
    most = concurrency.limit(lambdas).get("ConcurrentExecutions", FEW)
    if most < FEW:
        log(f"this account runs {most} functions at once, and turns more requests away; Service Quotas can raise that")


def put_page(session: boto3.Session, options: Options, stack: Stack) -> None:
    """Put the demo page in a bucket of the stack, asking the stack's API, and print its URL.

    The bucket is a deployment of its own, as an account may forbid buckets that anyone may read.
    """
    if "PageBucket" not in stack.outputs:
        try:
            stack = update(session, sam_of(options), stack, stack.packages, {"Page": "true"}, {})
        except CommandError as error:
            raise CommandError(f"the API is there, the page is not: {error}") from None
    # One for both models, or with function URLs one each
    api = " ".join({url.rpartition("/")[0]: None for name, url in stack.outputs.items() if name.endswith("CnnUrl")})
    page.put(session.client("s3"), stack.outputs["PageBucket"], account_of(session), api)
    print("PageUrl", page.url(session, stack.outputs["PageBucket"]))


def wait_for_urls(stack: Stack) -> None:
    """Wait, for some seconds at most, until the API knows its routes, and an open function URL that anyone may call.

    Before, they answer 404 and 403.
    """
    deadline = time.monotonic() + URLS_SECONDS
    not_yet = {404, 403} if stack.parameters["Auth"] == "none" else {404}
    for name, url in stack.outputs.items():
        while name.endswith("CnnUrl") and _status(url) in not_yet and time.monotonic() < deadline:
            time.sleep(1)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, b"{}", timeout=URLS_SECONDS) as answer:  # POST, as any route takes
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # this machine may not reach what others do
        return 0


def who_may_call(session: boto3.Session, options: Options, stack: Stack) -> None:
    """Say what callers can make the stack cost at most, when anyone may call."""
    if stack.parameters["Auth"] != "none":
        return
    lambdas, dynamodb = session.client("lambda"), session.client("dynamodb")
    kinds = ("Function", "Batch")
    found = [deployed.functions(deployed.cloudformation(session), options.stack, kind).values() for kind in kinds]
    units = {}
    for table in tables(stack.parameters):
        described = dynamodb.describe_table(TableName=table)["Table"]
        most = described.get("OnDemandThroughput", {}).get("MaxReadRequestUnits", -1)
        units[table] = most if most > 0 else None
    reserved = not concurrency.shortage(lambdas, list(itertools.chain(*found)), stack.parameters)
    account = concurrency.limit(lambdas).get("ConcurrentExecutions", concurrency.DEFAULT_LIMIT)
    log(worst_bill.warning(worst_bill.hourly(stack.parameters, reserved, account, units)))


def report(session: boto3.Session, options: Options, stack: Stack) -> None:
    """Print the outputs of the stack, a name and a value a line; say when a model serves another version than its."""
    for name, value in stack.outputs.items():
        if name != "PageBucket":
            print(name, value, flush=True)
        elif not options.page:
            print("PageUrl", page.url(session, value))
    lambdas = session.client("lambda")
    for model, function in deployed.functions(deployed.cloudformation(session), options.stack).items():
        live = versions.named(lambdas, function)
        if live != versions.named(lambdas, function, versions.CANDIDATE):
            log(f"{model} serves version {live}, since `rollback`; `up --renew` deploys its package in the stack again")


def urls(session: boto3.Session, options: Options) -> None:
    """Print the URLs; raise CommandError when there is no stack."""
    stack = deployed.find(deployed.cloudformation(session), options.stack)
    if stack is None or not stack.outputs:
        raise CommandError(f"no stack {options.stack} here; utils/deploy.py up makes it")
    for name, value in stack.outputs.items():
        if name.endswith("Url"):
            print(name, value)
    if bucket := stack.outputs.get("PageBucket"):
        print("PageUrl", page.url(session, bucket))


def rollback(session: boto3.Session, options: Options) -> None:
    """Let the versions before the last deployment serve again; raise CommandError when none is kept."""
    client, lambdas = deployed.cloudformation(session), session.client("lambda")
    if deployed.find(client, options.stack) is None:
        raise CommandError(f"no stack {options.stack} here; utils/deploy.py up makes it")
    functions = deployed.functions(client, options.stack)
    note_live(lambdas, functions)  # as `sam deploy` may have deployed since
    before = versions.before_last_deployment(lambdas, functions)
    if not before:
        raise CommandError("no version before is kept; `up` keeps one when it deploys another")
    for model, version in before.items():
        versions.go_back(lambdas, functions[model], version)
        print(f"{model} serves version {version}")
    log("to go forward again: `up` with a package, or `up --renew` for the package that the stack has")


def down(session: boto3.Session, options: Options) -> None:
    """Remove the stack with its packages and its page; raise CommandError when that fails."""
    if options.bucket:
        check_bucket(session, options.bucket)
    client = deployed.cloudformation(session)
    stack = deployed.find(client, options.stack)
    if stack is None:
        log(f"no stack {options.stack} here")
    elif stack.status == "REVIEW_IN_PROGRESS":  # there is nothing in it yet
        client.delete_stack(StackName=options.stack)
    else:
        for name in ("PageBucket", "BatchBucket"):
            if bucket := stack.outputs.get(name):
                page.clear(session.client("s3"), bucket, account_of(session))
        if not sam_of(options).delete(deployed.Changes(client, options.stack).log_new):
            raise CommandError("sam delete failed; its message is above")


def _parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    about: dict[str, Any] = {"description": __doc__, "formatter_class": parser.formatter_class}
    create = commands.add_parser("up", help="create or update", **about)
    show = commands.add_parser("urls", help="print the URLs", **about)
    back = commands.add_parser("rollback", help="let the version before the last deployment serve again", **about)
    remove = commands.add_parser("down", help="remove", **about)
    for command in (create, show, back, remove):
        command.add_argument("--stack", default="serverless-inference", help="its name (default: %(default)s)")
        command.add_argument("--bucket", help="for the packages (default: the one that SAM CLI keeps for them)")
        command.add_argument("--profile", help="named profile of the AWS configuration")
        command.add_argument("--region", help="AWS region")
    for model in MODELS:
        create.add_argument(
            f"--{model.replace('_', '-')}",
            type=Path,
            metavar="ZIP",
            help=f"package to deploy as {model} (without it, {model} stays as deployed; at first, build/{model}.zip)",
        )
    cli.add_pairs(create, "--parameter", "of template.yaml")
    cli.add_pairs(create, "--tag", "of the stack and all in it")
    create.add_argument("--renew", action="store_true", help="publish new versions even when nothing has changed")
    create.add_argument("--page", action="store_true", help="put the demo page in a bucket that anyone may read")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


def main() -> int:
    """Run the command line; return the exit code."""
    options = _parse()
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    if options.command == "down":
        if not options.yes and not cli.agreed(f"remove stack {options.stack} with its packages, page and batches?"):
            raise CommandError("nothing was removed")
        down(session, options)
    elif options.command == "up":
        stack = up(session, options)
        warn_of_quota(session.client("lambda"))
        wait_for_urls(stack)
        report(session, options, stack)
        who_may_call(session, options, stack)
        if options.page:
            put_page(session, options, stack)
    elif options.command == "rollback":
        rollback(session, options)
    else:
        urls(session, options)
    return 0


if __name__ == "__main__":
    run(main)
