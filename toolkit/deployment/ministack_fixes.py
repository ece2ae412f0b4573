"""The emulator of the local cloud, with what MiniStack 1.5.33 does otherwise than AWS put right.

Each fix replaces internals of MiniStack, so another version is refused: check there which fixes are still needed.

Run as `python -m toolkit.deployment.ministack_fixes`; toolkit/deployment/local_cloud.py sets the environment.
"""

import asyncio
import contextvars
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any

VERSION = "1.5.33"


def check_version(installed: str) -> None:
    """Raise RuntimeError unless the MiniStack that is installed is the one these fixes were written for."""
    if installed != VERSION:
        raise RuntimeError(f"the fixes of the local cloud are for MiniStack {VERSION}, not {installed}; install that")


def fix_api() -> None:
    """Put right what CloudFormation makes of an AWS::ApiGatewayV2::Api."""
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handlers["create"], handlers["update"]

    def with_cors(props: dict[str, Any]) -> dict[str, Any]:
        # A template writes AllowOrigins and the service reads allowOrigins. AWS translates; here CORS was lost.
        cors = {name[0].lower() + name[1:]: value for name, value in props.get("CorsConfiguration", {}).items()}
        return {**props, "CorsConfiguration": cors} if cors else props

    def with_reachable_endpoint(result: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
        # AWS names a host that resolves anywhere. Here it is a subdomain of localhost, which not every resolver knows.
        api_id, attributes = result
        endpoint = f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{api_id}"
        return api_id, {**attributes, "ApiEndpoint": endpoint}

    handlers["create"] = lambda name, props, *rest: with_reachable_endpoint(create(name, with_cors(props), *rest))
    handlers["update"] = lambda name, old, new, *rest, **named: with_reachable_endpoint(
        update(name, with_cors(old), with_cors(new), *rest, **named)
    )


def fix_function_urls() -> None:
    """Put right the URLs of functions that CloudFormation makes: their host is one that not every resolver knows."""
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import provisioners

    attributes = provisioners._lambda_url_attributes

    def reachable(config: dict[str, Any]) -> dict[str, Any]:
        name = lambda_svc._function_url_id(config["FunctionUrl"])
        return {**attributes(config), "FunctionUrl": f"{os.environ['AWS_ENDPOINT_URL']}/_aws/lambda-url/{name}/"}

    provisioners._lambda_url_attributes = reachable


def fix_conditions() -> None:
    """Let conditions see AWS::Region and AWS::Partition, as they do on AWS; here they saw no pseudo parameter."""
    from ministack.services.cloudformation import changesets, engine, handlers, stacks

    evaluate = engine._evaluate_conditions

    def with_region(template: dict[str, Any], params: dict[str, Any]) -> Any:
        pseudo = {"AWS::Region": engine.get_region(), "AWS::Partition": "aws"}
        return evaluate(template, {**params, **{name: {"Value": value} for name, value in pseudo.items()}})

    for module in (changesets, engine, handlers, stacks):
        module._evaluate_conditions = with_region


def fix_changes() -> None:
    """Count a resource as added or removed when its condition changes, as AWS does; here that was no change."""
    from ministack.services.cloudformation import changesets

    resolve = changesets._resolve_props_for_diff

    def resolve_of_true_conditions(template: dict[str, Any], params: dict[str, Any], *rest: Any) -> Any:
        true = changesets._evaluate_conditions(template, params)
        resources = template.get("Resources", {}).items()
        here = {name: each for name, each in resources if "Condition" not in each or true.get(each["Condition"])}
        return resolve({**template, "Resources": here}, params, *rest)

    changesets._resolve_props_for_diff = resolve_of_true_conditions


def fix_transform() -> None:
    """Hand the values of parameters to the SAM transform, as AWS does; here a `Ref` in AutoPublishCodeSha256 stayed."""
    from ministack.services.cloudformation import changesets, engine, handlers
    from samtranslator.translator import transform as sam

    values: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("values")
    apply: Callable[..., Any] = engine._apply_transforms
    transform = sam.transform

    def apply_with_values(template: dict[str, Any], provided: Any = None, previous: Any = None) -> Any:
        values.set(engine._transform_parameters(template, provided, previous))
        return apply(template, provided, previous)

    def transform_with_values(template: dict[str, Any], _: dict[str, str], *rest: Any) -> Any:
        return transform(template, values.get(), *rest)

    sam.transform = transform_with_values
    for module in (changesets, engine, handlers):
        module._apply_transforms = apply_with_values


def fix_monitoring() -> None:
    """Take alarms on several metrics, and the budgets and canaries of a template, which nothing here acts on.

    MiniStack refuses them, and with them the stack. Such an alarm is kept with the first of its metrics.
    """
    from ministack.services.cloudformation import provisioners

    record = provisioners._cw_metric_alarm_record

    def record_of_any(name: str, props: dict[str, Any]) -> Any:
        metrics = [each["MetricStat"]["Metric"] for each in props.get("Metrics", []) if "MetricStat" in each]
        return record(name, {**props, "Metrics": None, **metrics[0]} if metrics else props)

    provisioners._cw_metric_alarm_record = record_of_any
    for kind in ("AWS::Budgets::Budget", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[kind] = {
            "create": lambda name, props, stack: (f"{stack}-{name}", {}),
            "delete": lambda *_: None,
        }


def fix_permissions() -> None:
    """Ask for permission to read and write a table's tags on that table; MiniStack asks for all of them."""
    from ministack.core import iam_actions

    find = iam_actions.dynamodb_resource_arns

    def find_tagged(body: bytes, *where: str) -> list[str]:
        return find(body, *where) or [arn for name, arn in json.loads(body or b"{}").items() if name == "ResourceArn"]

    iam_actions.dynamodb_resource_arns = find_tagged


def fix_deletion() -> None:
    """Answer DeleteStack when the stack is gone, not at once as AWS does: SAM CLI would look again after 30 s only."""
    from ministack.services import cloudformation

    handle = cloudformation.handle_request

    async def handle_and_wait(*request: Any) -> Any:
        answer = await handle(*request)
        if b"Action=DeleteStack" in request[3]:
            await asyncio.sleep(0.1)  # the deletion is a task that this one has to let begin
            while any(stack["StackStatus"] == "DELETE_IN_PROGRESS" for stack in cloudformation._stacks.values()):
                await asyncio.sleep(0.1)
        return answer

    cloudformation.handle_request = handle_and_wait


def main() -> None:
    """Run the emulator in this process."""
    check_version(importlib.metadata.version("ministack"))
    for fix in (
        fix_api,
        fix_function_urls,
        fix_conditions,
        fix_changes,
        fix_transform,
        fix_monitoring,
        fix_permissions,
        fix_deletion,
    ):
        fix()
    from ministack.app import main as run

    sys.argv = ["ministack"]
    run()


if __name__ == "__main__":
    main()
