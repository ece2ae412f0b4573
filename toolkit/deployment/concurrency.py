"""Whether the account has the concurrency that the functions are to reserve."""

from collections.abc import Sequence
from typing import Any

from toolkit.deployment import template

# docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html: "as long as you leave at least 100 simultaneous
# executions unreserved"
UNRESERVED = 100


def shortage(client: Any, functions: Sequence[str], values: dict[str, str]) -> str:
    """Return why the parameter Concurrency can't be reserved, "" when it can be.

    `functions` are those that the stack has; what they reserve now is theirs to reserve again.
    """
    each, count = int(values["Concurrency"]), len(template.deployed_models(values))
    if each == 0:
        return ""
    limit = client.get_account_settings()["AccountLimit"]
    free = limit["UnreservedConcurrentExecutions"]
    for function in functions:
        free += client.get_function_concurrency(FunctionName=function).get("ReservedConcurrentExecutions", 0)
    if free - each * count >= UNRESERVED:
        return ""
    return (
        f"Concurrency={each} can't be reserved: of the account's {limit['ConcurrentExecutions']} concurrent executions "
        f"here, {free} are free, {UNRESERVED} must stay so, and {count} x {each} are wanted. Deploying without; ask "
        "for a higher quota (Service Quotas, Lambda, Concurrent executions), then run `up` again"
    )
