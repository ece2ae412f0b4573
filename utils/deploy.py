"""Put the deployment packages behind a URL, or take all of it away again.

  up    packages to S3, template.yaml through a CloudFormation change set, the URLs to stdout; with --page,
        the demo page to a public bucket of its own
  down  removes the stack, the packages, the page, and the buckets if up made them; never a table

Region, profile and credentials as for every AWS tool. Interrupted, a change under way goes on; the same command
shows its end.

Example:
  python utils/deploy.py up --stack my-models --parameter KimCnnTable=word-vectors
  python utils/deploy.py down --stack my-models
"""

import argparse
import hashlib
import html
import json
import mimetypes
import re
import sys
from pathlib import Path
from typing import Any

import boto3

from toolkit.cli import CommandError, run
from toolkit.deployment.bucket import Bucket
from toolkit.deployment.stack import Stack

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "template.yaml"
PACKAGES = {model: ROOT / f"build/{model}.zip" for model in ("sm_cnn", "kim_cnn")}
SWITCHES = {"sm_cnn": "DeploySmCnn", "kim_cnn": "DeployKimCnn"}  # the parameter that deploys a model
TABLES = {"sm_cnn": "SmCnnTable", "kim_cnn": "KimCnnTable"}  # the parameter that names its table
PAGE = ROOT / "demo"
NO_API = '<meta name="api" content="">'  # in the page, where the URL of the API belongs


def up(
    stack: Stack, bucket: Bucket, dynamodb: Any, packages: dict[str, Path], parameters: dict[str, str]
) -> dict[str, str]:
    """Create or update the stack from `packages` (model: zip) and return its outputs.

    A model that is not packaged anew stays as it is.
    """
    uris = _deployed_packages(stack.template()) if stack.exists() else {}
    if not (packages or uris):
        raise CommandError("no package to deploy; build one with utils/create_deployment_package.sh")
    bucket.make(stack.name)
    uris |= {model: bucket.send_package(f"{stack.name}/{model}", package) for model, package in packages.items()}
    template = TEMPLATE.read_text()
    for model, switch in SWITCHES.items():
        template = template.replace(f"CodeUri: build/{model}.zip", f"CodeUri: {uris.get(model, 's3://none/none')}")
        if model in packages or model not in uris:
            parameters = {switch: str(model in packages).lower(), **parameters}
    values = _values(template, {**stack.parameters(), **parameters})
    _check_tables(dynamodb, {values[TABLES[model]] for model, switch in SWITCHES.items() if values[switch] == "true"})
    # Written out, as the SAM transform names a version by what the template says, not by what parameters make of it.
    stack.deploy(template.replace("!Ref Release", f'"{_release(template, values)}"'), parameters)
    return stack.outputs()


def up_page(stack: Stack, bucket: Bucket) -> str:
    """Put the demo page, asking the stack's API, in a bucket anyone may read; return its URL.

    The bucket holds nothing else, so that the one with the packages stays closed.
    """
    outputs = stack.outputs()
    api = (outputs.get("KimCnnUrl") or outputs["SmCnnUrl"]).rpartition("/")[0]
    bucket.make(stack.name)
    bucket.open_to_readers()
    for file in sorted(PAGE.iterdir(), reverse=True):  # index.html last, when all it needs is there
        content = file.read_text().replace(NO_API, NO_API.replace('""', f'"{html.escape(api)}"'))
        content_type = f"{mimetypes.guess_type(file.name)[0]}; charset=utf-8"
        bucket.put(f"{stack.name}/{file.name}", content.encode(), content_type)
    return bucket.public_url(f"{stack.name}/index.html")


def down(stack: Stack, bucket: Bucket, page_bucket: Bucket) -> None:
    """Remove the stack, its packages and its page, and each bucket if `up` made it and nothing else is in it."""
    stack.delete()
    bucket.clear(stack.name)
    if page_bucket.is_ours():
        page_bucket.clear(stack.name)


def _deployed_packages(template: str) -> dict[str, str]:
    """Return the URI of each model's package in a template that `up` has deployed."""
    return {model: uri for uri, model in re.findall(rf"CodeUri: (s3://\S+/({'|'.join(SWITCHES)})/\S+)", template)}


def _values(template: str, parameters: dict[str, str]) -> dict[str, str]:
    """Return the values that all parameters of the template get: those given, else their defaults."""
    defaults = re.findall(r'^  (\w+):\n    Type: \w+\n    Default: "?([^"\n]*)"?$', template, re.MULTILINE)
    return {**dict(defaults), **parameters}


def _release(template: str, values: dict[str, str]) -> str:
    """Return what differs whenever the template, the packages it names, or a parameter does."""
    counted = {name: value for name, value in values.items() if name != "Release"}
    return hashlib.sha256(json.dumps([template, counted], sort_keys=True).encode()).hexdigest()[:16]


def _check_tables(client: Any, tables: set[str]) -> None:
    """Refuse a table that is not there: the functions could not answer, and their log would go with the stack."""
    for table in sorted(tables):
        try:
            client.describe_table(TableName=table)
        except client.exceptions.ResourceNotFoundException:
            raise CommandError(f"no table {table} here; upload word vectors to it first") from None


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("removing asks first; without a terminal, say --yes")
    return input(question).lower() in ("y", "yes")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    create, remove = commands.add_parser("up", help="create or update"), commands.add_parser("down", help="remove")
    for command in (create, remove):
        command.add_argument("--stack", default="serverless-inference", help="its name (default: %(default)s)")
        command.add_argument("--bucket", help="for the packages (default: one made for account and region)")
        command.add_argument("--profile", help="named profile of the AWS configuration")
        command.add_argument("--region", help="AWS region")
    for model in PACKAGES:
        create.add_argument(
            f"--{model.replace('_', '-')}",
            type=Path,
            metavar="ZIP",
            help=f"package of {model} (default: build/{model}.zip; without one, {model} stays as it is)",
        )
    create.add_argument(
        "--parameter", type=_parameter, action="append", default=[], metavar="NAME=VALUE", help="of template.yaml"
    )
    create.add_argument("--page", action="store_true", help="put the demo page in a bucket that anyone may read")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


def _packages(options: argparse.Namespace) -> dict[str, Path]:
    """Return the zips to deploy: those named on the command line, else those that stand in build/."""
    named = {model: getattr(options, model) for model in PACKAGES}
    for path in named.values():
        if path and not path.exists():
            raise CommandError(f"{path}: no such package; build it with utils/create_deployment_package.sh")
    found = {model: named[model] or default for model, default in PACKAGES.items()}
    return {model: path for model, path in found.items() if path.exists()}


def main() -> int:
    """Run the command line; return the exit code."""
    options = _parse()
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    stack = Stack(session, options.stack)
    name = options.bucket
    if not name:
        account = session.client("sts").get_caller_identity()["Account"]
        name = f"serverless-inference-{account}-{session.region_name}"
    bucket, page_bucket = Bucket(session, name), Bucket(session, f"{name}-page")
    if options.command == "down":
        if not options.yes and not _agreed(f"remove stack {stack.name} with its packages and page? [y/N] "):
            raise CommandError("nothing was removed")
        down(stack, bucket, page_bucket)
        return 0
    outputs = up(stack, bucket, session.client("dynamodb"), _packages(options), dict(options.parameter))
    if options.page:
        outputs["PageUrl"] = up_page(stack, page_bucket)
    for output, value in outputs.items():
        print(f"{output} {value}")
    return 0


if __name__ == "__main__":
    run(main)
