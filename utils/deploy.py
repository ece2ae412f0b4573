"""Put the deployment packages behind a URL, or take all of it away again, with AWS SAM CLI.

  up    checks that the tables are there, runs `sam deploy` on template.yaml, and prints the URLs to stdout; with
        --page, it puts the demo page on the web too
  urls  prints the URLs
  down  removes the stack, its packages and its page with `sam delete`; never a table

The first `up` deploys the packages in build/. Later ones replace a model only when they name its package; a parameter
keeps its value until it is given another. Region, profile and credentials as for every AWS tool.

Example:
  python utils/deploy.py up --stack my-models --parameter KimCnnTable=word-vectors
  python utils/deploy.py up --stack my-models --kim-cnn build/kim_cnn.zip
  python utils/deploy.py down --stack my-models
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import boto3

from toolkit.cli import CommandError, log, run
from toolkit.deployment import page, template
from toolkit.deployment.deployed import Stack, events, find, first_failure
from toolkit.deployment.template import MODELS, ROOT

Options = argparse.Namespace


def sam(options: Options, command: str, *arguments: str) -> bool:
    """Run a command of SAM CLI on the stack, its output on stderr; return whether it succeeded."""
    line = ["sam", command, f"--stack-name={options.stack}", f"--s3-prefix={options.stack}", *arguments]
    line += [f"--{name}={value}" for name in ("region", "profile") if (value := getattr(options, name))]
    line += [f"--s3-bucket={options.bucket}"] if options.bucket else []
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # .venv may not be activated
    environment = {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}
    try:
        return subprocess.run(line, env=environment, stdout=sys.stderr, check=False).returncode == 0
    except FileNotFoundError:
        raise CommandError(
            "no sam on PATH; `make .venv/installed` installs it, so does pip install aws-sam-cli"
        ) from None


def check_tables(dynamodb: Any, tables: set[str]) -> None:
    """Raise CommandError for a table that can't be read yet: the first request would fail, and undo the deployment."""
    for table in sorted(tables):
        try:
            status = dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
        except dynamodb.exceptions.ResourceNotFoundException:
            raise CommandError(f"no table {table} here; upload word vectors to it first") from None
        if status not in ("ACTIVE", "UPDATING"):
            raise CommandError(f"table {table} is {status}; run this again when it is ACTIVE")


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


def up(session: boto3.Session, options: Options) -> Stack:
    """Create or update the stack and return it; raise CommandError with the reason when that fails."""
    cloudformation = session.client("cloudformation")
    stack = find(cloudformation, options.stack)
    if stack and stack.status == "ROLLBACK_COMPLETE":  # a first deployment that failed; it can only be removed
        sam(options, "delete", "--no-prompts")
        stack = None
    sent = choose_packages(options, stack)
    packages = {**(stack.packages if stack else {}), **sent}
    given = {f"Deploy{MODELS[model]}": "true" for model in sent}
    given |= {f"Deploy{MODELS[model]}": "false" for model in MODELS.keys() - packages.keys()}
    given |= {"Page": "true"} if options.page else {}
    given |= dict(options.parameter)
    tags = {**(stack.tags if stack else {}), **dict(options.tag)}
    content = template.read()
    values = template.parameter_values(content, stack.parameters if stack else {}, given)
    check_tables(session.client("dynamodb"), template.tables(values))
    template.fill(content, packages, values)
    seen = next((event["EventId"] for event in events(cloudformation, options.stack)), None)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(content, file)
        file.flush()
        done = sam(
            options, "deploy", f"--template-file={file.name}", *([] if options.bucket else ["--resolve-s3"]),
            "--capabilities=CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
            "--parameter-overrides", *(f"{name}={json.dumps(value)}" for name, value in values.items()),
            *(["--tags", *(f"{name}={json.dumps(value)}" for name, value in tags.items())] if tags else []),
        )  # fmt: skip
    deployed = find(cloudformation, options.stack)
    if done and deployed:
        return deployed
    reason = first_failure(events(cloudformation, options.stack), seen)
    if reason is None or deployed is None:
        raise CommandError("sam deploy failed; its message is above")
    kept = "the previous version keeps serving" if "UPDATE" in deployed.status else "nothing was left running"
    raise CommandError(f"{reason}; {kept}")


def put_page(session: boto3.Session, stack: Stack) -> None:
    """Put the demo page in the stack's bucket, asking the stack's API."""
    api = (stack.outputs.get("KimCnnUrl") or stack.outputs["SmCnnUrl"]).rpartition("/")[0]
    page.put(session.client("s3"), stack.outputs["PageBucket"], api)


def print_outputs(session: boto3.Session, outputs: dict[str, str]) -> None:
    """Print the stack's outputs, a name and a value a line, with the URL of the page in the place of its bucket."""
    for name, value in outputs.items():
        print("PageUrl", page.url(session, value)) if name == "PageBucket" else print(name, value)


def down(session: boto3.Session, options: Options) -> None:
    """Remove the stack with its packages and its page; raise CommandError when that fails."""
    stack = find(session.client("cloudformation"), options.stack)
    if stack is None:
        log(f"no stack {options.stack} here")
        return
    if bucket := stack.outputs.get("PageBucket"):
        page.clear(session.client("s3"), bucket)
    if not sam(options, "delete", "--no-prompts"):
        raise CommandError("sam delete failed; its message is above")


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
    create, show = (
        commands.add_parser("up", help="create or update"),
        commands.add_parser("urls", help="print the URLs"),
    )
    remove = commands.add_parser("down", help="remove")
    for command in (create, show, remove):
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
    create.add_argument(
        "--parameter", type=_parameter, action="append", default=[], metavar="NAME=VALUE", help="of template.yaml"
    )
    create.add_argument(
        "--tag",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the stack and what it holds",
    )
    create.add_argument("--page", action="store_true", help="put the demo page in a bucket that anyone may read")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args()


def main() -> int:
    """Run the command line; return the exit code."""
    options = _parse()
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    if options.command == "down":
        if not options.yes and not _agreed(f"remove stack {options.stack} with its packages and page? [y/N] "):
            raise CommandError("nothing was removed")
        down(session, options)
    elif options.command == "up":
        stack = up(session, options)
        if options.page:
            put_page(session, stack)
        print_outputs(session, stack.outputs)
    else:
        found = find(session.client("cloudformation"), options.stack)
        if found is None:
            raise CommandError(f"no stack {options.stack} here; utils/deploy.py up makes it")
        print_outputs(session, {name: value for name, value in found.outputs.items() if name != "SnapStart"})
    return 0


if __name__ == "__main__":
    run(main)
