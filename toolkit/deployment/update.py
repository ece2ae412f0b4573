"""Change a stack: get it into a state that can be changed, deploy, keep the version before, say what failed."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from toolkit.cli import CommandError, log
from toolkit.deployment import concurrency, deployed, template, versions
from toolkit.deployment.deployed import Stack
from toolkit.deployment.sam import Sam


def check_tables(dynamodb: Any, tables: set[str]) -> None:
    """Raise CommandError for a table that can't be read yet: the first request would fail, and undo the deployment."""
    for table in sorted(tables):
        try:
            status = dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
        except dynamodb.exceptions.ResourceNotFoundException:
            raise CommandError(f"no table {table} here; upload word vectors to it first") from None
        if status not in ("ACTIVE", "UPDATING"):
            raise CommandError(f"table {table} is {status}; run this again when it is ACTIVE")


def make_updatable(client: Any, sam: Sam) -> Stack | None:
    """Return the stack in a state that CloudFormation updates, None when it has to be made; CommandError if neither."""
    stack = deployed.find(client, sam.stack)
    if stack and stack.status == "UPDATE_ROLLBACK_FAILED":
        stack = deployed.continue_rollback(client, sam.stack)
    if stack is None or stack.status == "REVIEW_IN_PROGRESS":
        return None
    if stack.status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
        log(f"{sam.stack}: its first deployment failed ({stack.status}); removing what it left")
        if not sam.delete(deployed.Changes(client, sam.stack).log_new) or deployed.find(client, sam.stack):
            raise CommandError(f"stack {sam.stack} can't be removed; see its events, then run `down` again")
        return None
    if stack.status == "UPDATE_FAILED":  # only where somebody has disabled the rollback
        command = f"aws cloudformation rollback-stack --stack-name {sam.stack}"
        raise CommandError(f"stack {sam.stack} is UPDATE_FAILED; run `{command}` first")
    if not stack.status.endswith("_COMPLETE"):
        raise CommandError(f"stack {sam.stack} is {stack.status}; see its events, then run `down`")
    return stack


def update(
    session: boto3.Session,
    sam: Sam,
    stack: Stack | None,
    packages: dict[str, str],
    given: dict[str, str],
    tags: dict[str, str],
) -> Stack:
    """Create or update the stack with the packages (model: path or S3 URI), parameters and tags; return it.

    Raises CommandError with the reason when that fails. A version that `rollback` chose serves on in that case, too.
    """
    client, lambdas = deployed.cloudformation(session), session.client("lambda")
    content = template.read()
    values = template.parameter_values(content, stack.parameters if stack else {}, given)
    check_tables(session.client("dynamodb"), template.tables(values))
    functions = deployed.functions(client, sam.stack) if stack else {}
    note_live(lambdas, functions)
    live = {model: versions.named(lambdas, function) for model, function in functions.items()}
    tables = {model: versions.tables(lambdas, function) for model, function in functions.items()}
    of_batches = deployed.functions(client, sam.stack, "Batch") if stack else {}
    shortage = concurrency.shortage(lambdas, [*functions.values(), *of_batches.values()], values)
    if shortage:
        log(shortage)
    # CodeDeploy shifts no alias that others than CloudFormation have moved: "The Lambda function alias version does not
    # match the current version in AppSpec file" (github.com/aws/serverless-application-model issue 291).
    deployed_last = {model: versions.named(lambdas, name, versions.CANDIDATE) for model, name in functions.items()}
    went_back = live != deployed_last
    if went_back and values["Canary"] != "off":
        log("all traffic moves at once this time, as CodeDeploy shifts none after `rollback`")
    template.fill(content, packages, values, tables, reserves=not shortage, shifts=not went_back)
    tags = (stack.tags if stack else {}) | tags
    changes = deployed.Changes(client, sam.stack)
    seen = changes.seen
    log(f"{sam.stack}: deploying; each resource is named when its change has ended")
    done = sam.deploy(content, values, tags, changes.log_new)
    changed = deployed.find(client, sam.stack)
    meanwhile = deployed.newest_event(client, sam.stack) != seen  # to the end of what `find` waited for
    if not done and meanwhile and deployed.first_failure(deployed.events(client, sam.stack), seen) is None:
        # Another change was under way, which CloudFormation did not show yet; it has ended.
        done = sam.deploy(content, values, tags, changes.log_new)
        changed = deployed.find(client, sam.stack)
    if done and not changes.any:
        log(f"{sam.stack}: nothing to change")
    if changed and changed.status == "UPDATE_ROLLBACK_FAILED":
        changed = deployed.continue_rollback(client, sam.stack)
    kept = deployed.functions(client, sam.stack) if done or stack else {}  # a first deployment leaves none
    for model, function in kept.items():
        before = live.get(model)
        if not done and before and versions.named(lambdas, function) != before:
            versions.go_back(lambdas, function, before)
    note_live(lambdas, kept)
    for function in kept.values():
        versions.delete_unnamed(lambdas, function)
    if done and changed:
        for model in swapped(lambdas, kept, packages):
            outcome = "it serves; run `down`, then take another --bucket"
            if before := live.get(model):
                versions.go_back(lambdas, kept[model], before)
                outcome = "the previous version serves again"
            raise CommandError(
                f"{model}: Lambda got other code than {packages[model]} from the bucket, where others write; {outcome}"
            )
        return deployed.settled(client, changed, values)
    reason = deployed.first_failure(deployed.events(client, sam.stack), seen)
    reason = reason or deployed.failed_validation(client, sam.stack)
    if reason is None or changed is None:
        raise CommandError("sam deploy failed; its message is above")
    reason += hint(reason, values)
    serving = "the previous version keeps serving" if stack else "nothing was left running"
    raise CommandError(f"{reason}; {serving}")


def note_live(lambdas: Any, functions: dict[str, str]) -> None:
    """Keep the version that was live before the one that is now, of each function (model: name)."""
    time = now()
    for function in functions.values():
        versions.note(lambdas, function, time)


def swapped(lambdas: Any, functions: dict[str, str], packages: dict[str, str]) -> list[str]:
    """Return the models whose last version has other code than the package on this machine that was uploaded for it."""
    found = []
    for model, path in packages.items():
        if model in functions and not path.startswith("s3://"):
            digest = hashlib.sha256(Path(path).read_bytes()).digest()
            if versions.code(lambdas, functions[model]) != base64.b64encode(digest).decode():
                found.append(model)
    return found


def hint(reason: str, values: dict[str, str]) -> str:
    """Return what helps to understand the reason of a failure, "" when it says enough.

    A snapshot is taken before a version exists. When that fails, CloudFormation says only "… did not stabilize. …
    An error occurred during function initialization" (github.com/serverless/serverless issue 13847).
    """
    unclear = values["SnapStart"] == "on" and "did not stabilize" in reason
    return " (deploy once with --parameter SnapStart=off to see why)" if unclear else ""


def now() -> str:
    """Return the time, as text that sorts."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
