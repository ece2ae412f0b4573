"""Put the deployment packages behind a URL, or take all of it away again.

  up    packages to S3, template.yaml through a CloudFormation change set, the URLs to stdout; with --page,
        the demo page to a public bucket of its own
  down  removes the stack, the packages, the page, and the buckets if up made them; never a table

Region, profile and credentials as for every AWS tool.

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
import time
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "template.yaml"
MODELS = {"sm_cnn": "DeploySmCnn", "kim_cnn": "DeployKimCnn"}  # package: the parameter that deploys it
PAGE = ROOT / "demo"
NO_API = '<meta name="api" content="">'  # in the page, where the URL of the API belongs
OWNER_TAG = "made-by-stack"  # on a bucket that `up` made, so that `down` may remove it
POLL_SECONDS = 1.0


class DeployError(Exception):
    """A deployment that did not come about; the message says why and what to do."""


class Deployment:
    """One stack and the bucket its packages go through."""

    def __init__(self, session: boto3.Session, stack: str, bucket: str | None):
        """Deploy to `stack`; without a `bucket`, through one named after the account and region."""
        self.cloudformation, self.s3 = session.client("cloudformation"), session.client("s3")
        self.stack, self.region = stack, self.cloudformation.meta.region_name
        self.bucket = bucket or f"serverless-inference-{_account(session)}-{self.region}"
        self.page_bucket = f"{self.bucket}-page"
        stranger = Config(signature_version=UNSIGNED, s3={"addressing_style": "virtual"})  # as a browser asks
        self.public_s3 = session.client("s3", config=stranger)
        self.partition = session.get_partition_for_region(self.region)

    def up(self, packages: dict[str, Path], parameters: dict[str, str]) -> dict[str, str]:
        """Create or update the stack from `packages` (name: zip); return its outputs."""
        if self._status() == "ROLLBACK_COMPLETE":  # a first deployment that failed; it can only be removed
            self._delete()
        exists = self._status() not in (None, "REVIEW_IN_PROGRESS")
        uris = self._deployed_packages() if exists else {}
        if not (packages or uris):
            raise DeployError("no package to deploy; build one with utils/create_deployment_package.sh")
        self._make_bucket(self.bucket)
        uris |= {name: self._upload(name, package) for name, package in packages.items()}
        template = TEMPLATE.read_text()
        for name, flag in MODELS.items():
            if name in uris:
                template = template.replace(f"CodeUri: build/{name}.zip", f"CodeUri: {uris[name]}")
            else:
                template = template.replace(f"CodeUri: build/{name}.zip", f"CodeUri: s3://{self.bucket}/none")
                parameters = {flag: "false", **parameters}
            if name in packages:
                parameters = {flag: "true", **parameters}
        change_set = self._change_set(template, parameters, exists)
        if change_set is None:
            _say("nothing to change")
        else:
            self._execute(change_set)
        return self._outputs()

    def up_page(self, outputs: dict[str, str]) -> str:
        """Put the demo page, asking the API of the stack's `outputs`, in a bucket anyone may read; return its URL.

        The page's bucket holds nothing else, so that the one with the packages stays closed.
        """
        bucket = self.page_bucket
        self._make_bucket(bucket)
        if not self._made_by_up(bucket):
            raise DeployError(f"bucket {bucket} is not one that up made, so it is not opened; choose another --bucket")
        public = {"BlockPublicAcls": True, "IgnorePublicAcls": True}
        public |= {"BlockPublicPolicy": False, "RestrictPublicBuckets": False}
        self.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=public)
        objects = f"arn:{self.partition}:s3:::{bucket}/*"
        anyone_reads = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
        policy = {"Version": "2012-10-17", "Statement": [anyone_reads]}
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        api = (outputs.get("KimCnnUrl") or outputs["SmCnnUrl"]).rpartition("/")[0]
        for file in sorted(PAGE.iterdir(), reverse=True):  # index.html last, when all it needs is there
            content = file.read_text().replace(NO_API, NO_API.replace('""', f'"{html.escape(api)}"'))
            self.s3.put_object(
                Bucket=bucket,
                Key=f"{self.stack}/{file.name}",
                Body=content.encode(),
                ContentType=f"{mimetypes.guess_type(file.name)[0]}; charset=utf-8",
                CacheControl="no-cache",
            )
        place = {"Bucket": bucket, "Key": f"{self.stack}/index.html"}
        url: str = self.public_s3.generate_presigned_url("get_object", Params=place)
        return url

    def down(self) -> None:
        """Remove the stack, its packages and its page, and each bucket if `up` made it and nothing else is in it."""
        if self._status() is not None:
            self._delete()
        self._clear(self.bucket)
        if self._made_by_up(self.page_bucket):
            self._clear(self.page_bucket)

    def _clear(self, bucket: str) -> None:
        """Remove what this stack has in a bucket, and the bucket if `up` made it and nothing else is in it."""
        try:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{self.stack}/"):
                for found in page.get("Contents", []):
                    self.s3.delete_object(Bucket=bucket, Key=found["Key"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            return
        left = self.s3.list_objects_v2(Bucket=bucket, MaxKeys=1)["KeyCount"]
        if not left and self._made_by_up(bucket):
            self.s3.delete_bucket(Bucket=bucket)
            _say(f"removed bucket {bucket}")

    def _made_by_up(self, bucket: str) -> bool:
        try:
            tags = self.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchTagSet", "AccessDenied"):
                raise
            return False
        return any(tag["Key"] == OWNER_TAG for tag in tags)

    def _make_bucket(self, bucket: str) -> None:
        """Make the bucket when there is none: private, encrypted as all are, marked as ours."""
        try:
            self.s3.head_bucket(Bucket=bucket)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] == "403":
                raise DeployError(f"bucket {self.bucket} is someone else's; name another with --bucket") from None
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
        where = {} if self.region == "us-east-1" else {
            "CreateBucketConfiguration": {"LocationConstraint": self.region}
        }  # fmt: skip
        self.s3.create_bucket(Bucket=bucket, **where)
        self.s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration=dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            ),
        )
        tag = {"Key": OWNER_TAG, "Value": self.stack}
        self.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [tag]})
        _say(f"made bucket {bucket}")

    def _deployed_packages(self) -> dict[str, str]:
        """Return where the packages of the stack as it stands are: a model not packaged anew stays as it is."""
        template = self.cloudformation.get_template(StackName=self.stack, TemplateStage="Original")["TemplateBody"]
        return {name: uri for uri, name in re.findall(rf"CodeUri: (s3://\S+/({'|'.join(MODELS)})-\S+)", template)}

    def _upload(self, name: str, package: Path) -> str:
        """Send a package unless it is there already; return its URI, which carries its hash."""
        with package.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        key = f"{self.stack}/{name}-{digest[:16]}.zip"
        try:
            self.s3.head_object(Bucket=self.bucket, Key=key)
            _say(f"{name}: package unchanged")
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            self.s3.upload_file(str(package), self.bucket, key)
            _say(f"{name}: sent {package.stat().st_size / 1e6:.1f} MB to s3://{self.bucket}/{key}")
        return f"s3://{self.bucket}/{key}"

    def _status(self) -> str | None:
        try:
            status: str = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if status == "DELETE_COMPLETE" else status

    def _outputs(self) -> dict[str, str]:
        described = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def _change_set(self, template: str, parameters: dict[str, str], exists: bool) -> str | None:
        """Make a change set and wait for it; return its ARN, None when nothing would change.

        A parameter that is not given keeps the value it has in the stack.
        """
        values: list[dict[str, Any]] = [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ]
        if exists:
            stack = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]
            kept = {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])} - parameters.keys()
            values += [
                {"ParameterKey": name, "UsePreviousValue": True} for name in kept if f"\n  {name}:\n" in template
            ]
        made = self.cloudformation.create_change_set(
            StackName=self.stack,
            ChangeSetName=f"up-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03}",
            ChangeSetType="UPDATE" if exists else "CREATE",
            TemplateBody=template,
            Parameters=values,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        arn: str = made["Id"]
        try:
            waiter = self.cloudformation.get_waiter("change_set_create_complete")
            waiter.wait(ChangeSetName=arn, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": 300})
        except WaiterError:
            reason = self.cloudformation.describe_change_set(ChangeSetName=arn).get("StatusReason", "")
            self.cloudformation.delete_change_set(ChangeSetName=arn)
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return None
            raise DeployError(f"CloudFormation refused the template: {reason}") from None
        return arn

    def _execute(self, change_set: str) -> None:
        """Carry the change set out, showing events; raise DeployError with the first failure's reason."""
        described = self.cloudformation.describe_change_set(ChangeSetName=change_set)
        actions = Counter(change["ResourceChange"]["Action"] for change in described["Changes"])
        _say("changes: " + ", ".join(f"{count} to {action.lower()}" for action, count in sorted(actions.items())))
        stack_id = described["StackId"]
        seen = {event["EventId"] for event in self._events(stack_id)}
        self.cloudformation.execute_change_set(ChangeSetName=change_set)
        failure = self._follow(stack_id, seen)
        status = self._status()
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            kept = "the version before goes on answering" if status == "UPDATE_ROLLBACK_COMPLETE" else (
                "nothing was left running")  # fmt: skip
            raise DeployError(f"{failure or status}; {kept}")

    def _delete(self) -> None:
        stack_id = self.cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["StackId"]
        seen = {event["EventId"] for event in self._events(stack_id)}
        self.cloudformation.delete_stack(StackName=stack_id)
        failure = self._follow(stack_id, seen)
        if self._status() is not None:
            raise DeployError(f"the stack could not be removed: {failure}")

    def _follow(self, stack_id: str, seen: set[str]) -> str:
        """Show a stack's events until it is done; return the reason of the first resource that failed."""
        failure = ""
        while True:
            time.sleep(POLL_SECONDS)
            described = self.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
            for event in self._events(stack_id):
                if event["EventId"] in seen:
                    continue
                seen.add(event["EventId"])
                status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
                _say(f"  {status:24} {event['LogicalResourceId']:22} {reason}".rstrip())
                if status.endswith("_FAILED") and not failure and "cancelled" not in reason:
                    failure = f"{event['LogicalResourceId']}: {reason}"
            if not described["StackStatus"].endswith("_IN_PROGRESS"):
                return failure

    def _events(self, stack_id: str) -> list[dict[str, Any]]:
        """Return the stack's events, oldest first."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        return [event for page in pages for event in page["StackEvents"]][::-1]


def _account(session: boto3.Session) -> str:
    account: str = session.client("sts").get_caller_identity()["Account"]
    return account


def _default_package(model: str) -> Path:
    return ROOT / f"build/{model}.zip"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise DeployError("removing asks first; without a terminal, say --yes")
    return input(question).lower() in ("y", "yes")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="create or update the stack")
    down = commands.add_parser("down", help="remove what up made")
    for command in (up, down):
        command.add_argument("--stack", default="serverless-inference", help="its name (default: %(default)s)")
        command.add_argument("--bucket", help="for the packages (default: one made for account and region)")
        command.add_argument("--profile", help="named profile of the AWS configuration")
        command.add_argument("--region", help="AWS region")
    for model in MODELS:
        up.add_argument(
            f"--{model.replace('_', '-')}",
            type=Path,
            default=_default_package(model),
            metavar="ZIP",
            help=f"package of {model} (default: build/{model}.zip; without one, {model} stays as it is)",
        )
    up.add_argument("--parameter", type=_parameter, action="append", default=[], metavar="NAME=VALUE",
                    help="parameter of template.yaml, as often as needed")  # fmt: skip
    up.add_argument("--page", action="store_true",
                    help="put the demo page in a bucket that anyone may read, and print its URL")  # fmt: skip
    down.add_argument("--yes", action="store_true", help="do not ask")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    options = _parse(arguments)
    try:
        session = boto3.Session(profile_name=options.profile, region_name=options.region)
        deployment = Deployment(session, options.stack, options.bucket)
        if options.command == "down":
            if not options.yes and not _agreed(f"remove stack {options.stack} and its packages? [y/N] "):
                raise DeployError("nothing was removed")
            deployment.down()
            return 0
        given = {model: getattr(options, model) for model in MODELS}
        packages = {model: path for model, path in given.items() if path.exists()}
        missing = [path for model, path in given.items() if not path.exists() and path != _default_package(model)]
        if missing:
            raise DeployError(f"{missing[0]}: no such package; build it with utils/create_deployment_package.sh")
        outputs = deployment.up(packages, dict(options.parameter))
        if options.page:
            outputs["PageUrl"] = deployment.up_page(outputs)
        for name, value in outputs.items():
            print(f"{name} {value}")
    except (DeployError, ClientError, BotoCoreError) as error:
        _say(f"deploy: {error}")
        return 1
    except KeyboardInterrupt:
        _say("deploy: interrupted; a change under way goes on, run the same command again to see its end")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
