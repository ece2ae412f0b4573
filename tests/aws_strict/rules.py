"""What AWS refuses and the emulator does not: a function a rule, each with its source.

A rule gets the call, the calls before it and the emulator behind; it returns what AWS answers, or None for no
objection. Delays are shortened: seconds here are up to a minute on AWS, or longer where a source says so.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import yaml
from botocore.exceptions import ClientError

from tests.aws_strict.call import ADMINISTRATOR, Answer, Call, History, error
from tests.aws_strict.templates import resolve, statements
from toolkit.deployment.template import parse

LAG = 2.0  # seconds after a change began in which the status from before is read
SPREAD = 2.0  # seconds a permission takes to hold everywhere
CLIENT_OF = Callable[[str], Any]  # of a service of the emulator
Rule = Callable[[Call, History, CLIENT_OF], Answer | None]

MAKES_STACKS = ("CreateChangeSet", "CreateStack", "UpdateStack")


def validation_error(call: Call, message: str) -> Answer:
    return error(call, 400, "ValidationError", message)


def body_of(call: Call, client: CLIENT_OF) -> str | None:
    """Return the template that a call of CloudFormation brings or names."""
    if url := call.fields.get("TemplateURL"):
        bucket, _, key = urlsplit(url).path.strip("/").partition("/")
        content: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return content.decode()
    body: str | None = call.fields.get("TemplateBody")
    return body


def status_of(name: str, client: CLIENT_OF) -> str | None:
    try:
        status: str = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return status


def parameters_of(call: Call, client: CLIENT_OF) -> dict[str, str]:
    """Return the values of parameters that a call of CloudFormation gives, or leaves as the stack has them."""
    of, values = "Parameters.member", {}
    for number in (name.split(".")[2] for name in call.fields if name.endswith(".ParameterKey")):
        name = call.fields[f"{of}.{number}.ParameterKey"]
        if call.fields.get(f"{of}.{number}.UsePreviousValue") != "true":
            values[name] = call.fields.get(f"{of}.{number}.ParameterValue", "")
        else:
            stack = client("cloudformation").describe_stacks(StackName=call.fields["StackName"])["Stacks"][0]
            previous = {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}
            values |= {name: previous[name]} if name in previous else {}
    return values


# Templates


def yaml_that_cloudformation_does_not_read(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """CloudFormation reads YAML 1.1 without aliases, hash merges and the tags binary, omap, pairs, set, timestamp.

    docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html; the message is that of
    github.com/seeebiii/aws-cloudformation-templates issue 1.
    """
    body = body_of(call, client) if call.operation in MAKES_STACKS else None
    if body is None:
        return None
    for token in yaml.scan(body):
        if isinstance(token, yaml.AliasToken):
            return validation_error(call, "Template error: YAML aliases are not allowed in CloudFormation templates")
        if isinstance(token, yaml.ScalarToken) and token.plain and token.value == "<<":
            return validation_error(call, "Template format error: YAML hash merges are not allowed")
        if isinstance(token, yaml.TagToken) and token.value[1] in ("binary", "omap", "pairs", "set", "timestamp"):
            return validation_error(call, f"Template format error: unsupported tag {token.value[1]}")
    return None


def template_too_long(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A template takes 51,200 bytes in a request, 1 MB in a bucket.

    docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    body = body_of(call, client) if call.operation in MAKES_STACKS else None
    most = 1_048_576 if "TemplateURL" in call.fields else 51_200
    if body is None or len(body.encode()) <= most:
        return None
    return validation_error(
        call,
        "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length "
        f"less than or equal to {most}",
    )


def code_on_a_local_path(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """The transform in the cloud takes code from S3 alone; `sam deploy` uploads local paths, a raw template has them.

    github.com/aws/serverless-application-model, samtranslator/model/s3_utils/uri_parser.py has the message.
    """
    body = body_of(call, client) if call.operation in MAKES_STACKS else None
    for name, resource in parse(body)["Resources"].items() if body else ():
        uri = resource.get("Properties", {}).get("CodeUri", "s3://")
        code = resource.get("Properties", {}).get("Code", {}) if "Lambda" in resource["Type"] else {}
        if not isinstance(code, dict) or (isinstance(uri, str) and not uri.startswith("s3://")):
            return validation_error(
                call,
                f"Resource with id [{name}] is invalid. 'CodeUri' is not a valid S3 Uri of the form 's3://bucket/key' "
                "with optional versionId query parameter.",
            )
    return None


def policy_without_a_resource(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """IAM refuses a statement with an empty list of resources: MalformedPolicyDocument.

    docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html: a statement must have Resource
    or NotResource. On AWS the stack fails while it is made; here the change set does.
    """
    body = body_of(call, client) if call.operation in MAKES_STACKS else None
    if body is None:
        return None
    template = resolve(parse(body), parameters_of(call, client))
    if any(statement.get("Resource") == [] for statement in statements(template["Resources"])):
        return validation_error(call, "MalformedPolicyDocument: Policy statement must contain resources.")
    return None


# Stacks


def change_of_a_stack_that_can_not_be_updated(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A stack that is being changed, or whose rollback failed, takes no change set.

    github.com/org-formation/org-formation-cli issue 455 ("is in UPDATE_ROLLBACK_FAILED state and can not be updated"),
    github.com/rails-lambda/lamby issue 132 (the same for ROLLBACK_COMPLETE).
    """
    if call.operation not in ("CreateChangeSet", "ExecuteChangeSet", "UpdateStack"):
        return None
    name = call.fields.get("StackName")
    if name is None:  # the ARN of a change set is enough
        described = client("cloudformation").describe_change_set(ChangeSetName=call.fields["ChangeSetName"])
        name = described["StackName"]
    status = status_of(name, client)
    if status is None or status == "REVIEW_IN_PROGRESS":
        return None
    stuck = status.endswith("_IN_PROGRESS") or status in (
        "CREATE_FAILED", "DELETE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED"
    )  # fmt: skip
    if not stuck:
        return None
    return validation_error(call, f"Stack:{name} is in {status} state and can not be updated.")


def events_asked_too_often(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """DescribeStackEvents is throttled from about two calls a second on.

    github.com/aws/aws-cli issue 2948, github.com/aws/aws-cdk-cli issue 1777: "Throttling: Rate exceeded".
    """
    if call.operation != "DescribeStackEvents":
        return None
    lately = [other for other in past.of("DescribeStackEvents") if call.time - other.time < 1]
    return error(call, 400, "Throttling", "Rate exceeded") if len(lately) >= 2 else None


def status_as_it_was(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """DescribeStacks may have the status from before a change for a moment: CloudFormation's reads lag behind.

    No page of AWS says how long; github.com/aws/aws-sam-cli lib/deploy/deployer.py therefore waits for an event.
    """
    if call.operation != "DescribeStacks" or not past.since(LAG, "ExecuteChangeSet"):
        return None
    began = next(past.of("ExecuteChangeSet")).time
    before = next((other for other in past.of("DescribeStacks", **call.fields) if other.time < began), None)
    return Answer(200, before.content, {"Content-Type": "text/xml"}) if before else None


# Permissions


def invoke_before_the_permission_has_spread(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """After a role was changed, what it newly allows is denied for some seconds.

    docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html, "Changes that I make are not always immediately
    visible"; github.com/aws/aws-cdk issue 37675: this very call, of a custom resource's function.
    """
    if call.operation != "Invoke" or call.caller == ADMINISTRATOR:
        return None
    began = next((change.time for change in past.of("ExecuteChangeSet")), 0.0)
    first = next((other.time for other in past.calls if _asks_first(other) and other.time > began), call.time)
    if call.time - first >= SPREAD:
        return None
    name = call.fields["FunctionName"]
    return error(call, 403, "AccessDeniedException", f"not authorized to perform: lambda:InvokeFunction on {name}")


def _asks_first(call: Call) -> bool:
    return call.operation == "Invoke" and call.caller != ADMINISTRATOR


def read_before_the_permission_has_spread(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """The same for a table that a role may newly read; here, that any role does.

    The emulator gives each version of a function credentials of its own, so that they do not tell whose role is new.
    docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html
    """
    if call.operation != "BatchGetItem" or call.caller == ADMINISTRATOR:
        return None
    (table,) = call.fields["RequestItems"]
    asked = (other for other in past.calls if other.operation == "BatchGetItem" and other.caller != ADMINISTRATOR)
    first = next((other.time for other in asked if table in other.fields["RequestItems"]), call.time)
    if call.time - first >= SPREAD:
        return None
    return error(call, 400, "AccessDeniedException", f"not authorized to perform: dynamodb:BatchGetItem on {table}")


def account_at_its_concurrency(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A new account runs 10 functions at once; one more is answered 429. Here: the first call of each function.

    docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; github.com/awslabs/fhir-works-on-aws-deployment
    issue 691
    """
    if call.operation != "Invoke" or call.caller == ADMINISTRATOR:
        return None
    function = call.fields["FunctionName"].rpartition(":")[0]  # of one of its versions
    invoked = (other.fields["FunctionName"] for other in past.calls if other.operation == "Invoke")
    if any(name.startswith(f"{function}:") for name in invoked):
        return None
    return error(call, 429, "TooManyRequestsException", "Rate Exceeded.")


# Buckets and tables


def bucket_name_not_free(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A bucket that was deleted leaves its name taken, for minutes up to an hour.

    github.com/aws/aws-cli issue 2593, github.com/aws-controllers-k8s/community issue 188: OperationAborted.
    """
    if call.operation != "CreateBucket" or not past.since(60, "DeleteBucket", Bucket=call.fields["Bucket"]):
        return None
    message = "A conflicting conditional operation is currently in progress against this resource. Please try again."
    return error(call, 409, "OperationAborted", message)


def bucket_of_another(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A call that names another owner of the bucket is refused.

    docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    expected = call.headers.get("x-amz-expected-bucket-owner")
    if call.service != "s3" or expected is None:
        return None
    owner = "999999999999" if call.fields["Bucket"].startswith("strangers-") else "000000000000"  # the emulator's
    return None if expected == owner else error(call, 403, "AccessDenied", "Access Denied")


def policy_right_after_the_public_access_block(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """PutBucketPolicy may still meet the public access block that was just lifted.

    github.com/env0/templates pull 258: "can fail due to race condition with the removal of public access block".
    """
    recent = past.since(SPREAD, "PutPublicAccessBlock", Bucket=call.fields.get("Bucket"))
    denied = call.operation == "PutBucketPolicy" and recent
    return error(call, 403, "AccessDenied", "Access Denied") if denied else None


def table_not_there_yet(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """DescribeTable may not know a table that CreateTable has just begun to make.

    docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
    """
    name = call.fields.get("TableName")
    if call.operation != "DescribeTable" or not past.since(1, "CreateTable", TableName=name):
        return None
    return error(call, 400, "ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")


# The API


def routes_not_in_service_yet(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """An API that was just made answers 404 for a moment, as its stage is deployed in the background.

    docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html (automatic deployments)
    """
    if call.operation != "CallApi" or not _first_asked_just_now(call, past):
        return None
    return Answer(404, b'{"message":"Not Found"}', {"Content-Type": "application/json"})


def url_open_to_nobody_yet(call: Call, past: History, client: CLIENT_OF) -> Answer | None:
    """A function URL that was just made answers 403 for a moment, as its permissions are eventually consistent.

    docs.aws.amazon.com/lambda/latest/dg/urls-auth.html (the two permissions), docs.aws.amazon.com/IAM/latest/UserGuide/
    troubleshoot.html (changes that are not always immediately visible)
    """
    if call.operation != "CallUrl" or not _first_asked_just_now(call, past):
        return None
    return Answer(403, b'{"Message":"Forbidden"}', {"Content-Type": "application/json"})


def _first_asked_just_now(call: Call, past: History) -> bool:
    asked = (other.time for other in past.calls if (other.operation, other.fields) == (call.operation, call.fields))
    return call.time - next(asked, call.time) < 1.5


RULES: list[Rule] = [
    yaml_that_cloudformation_does_not_read, template_too_long, code_on_a_local_path, policy_without_a_resource,
    change_of_a_stack_that_can_not_be_updated, events_asked_too_often, status_as_it_was,
    account_at_its_concurrency, invoke_before_the_permission_has_spread, read_before_the_permission_has_spread,
    bucket_name_not_free, bucket_of_another, policy_right_after_the_public_access_block, table_not_there_yet,
    routes_not_in_service_yet, url_open_to_nobody_yet,
]  # fmt: skip
