"""Whether the account has the concurrency that the functions are to reserve."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from toolkit.deployment import template

# docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html: "as long as you leave at least 100 simultaneous
# executions unreserved"
UNRESERVED = 100
DEFAULT_LIMIT = 1000  # of an account that has been used for a while


def limit(client: Any) -> dict[str, int]:
    """Return the limits of the account, {} for who may not ask."""
    try:
        limits: dict[str, int] = client.get_account_settings()["AccountLimit"]
    except ClientError:
        return {}
    return limits


def shortage(client: Any, functions: Sequence[str], values: dict[str, str]) -> str:
    """Return why the parameter Concurrency can't be reserved, "" when it can be.

    `functions` are those that the stack has; what they reserve now is theirs to reserve again.
    """
    each, count = int(values["Concurrency"]), len(template.deployed_models(values))
    of_batches = int(values["BatchConcurrency"]) if values["Batch"] == "on" else 0
    if each == 0:
        return ""
    account = limit(client)
    if not account:
        return ""  # who may not ask may still have it
    free = account["UnreservedConcurrentExecutions"]
    for function in functions:
        free += client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions", 0)
    if free - (each + of_batches) * count >= UNRESERVED:
        return ""
    each_wanted = f"({each} + {of_batches} of batches)" if of_batches else each
    wanted = f"{count} x {each_wanted}" if count > 1 else each_wanted
    return (
        f"Concurrency={each} can't be reserved: of the account's {account['ConcurrentExecutions']} concurrent "
        f"executions here, {free} are free, {UNRESERVED} must stay so, and {wanted} are wanted. Deploying without; "
        "ask for a higher quota (Service Quotas, Lambda, Concurrent executions), then run `up` again"
    )
