"""What callers can make a deployed stack cost in an hour at most, from what bounds them."""

from collections.abc import Mapping

from toolkit import prices
from toolkit.deployment.template import MODELS, deployed_models
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT

HOUR = 3600
TIMEOUT = 29  # seconds of a request at most, as in template.yaml
# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html: a body has 10 MB at most. It is billed even
# if it is refused, in parts of 512 KB (aws.amazon.com/api-gateway/pricing).
PARTS_OF_LARGEST_BODY = 20
ANSWER_PER_BODY = 1.1  # the texts come back, with numbers
LOG_BYTES = 2000  # of a request, in both logs
UNITS_OF_A_READ = 0.5  # an item of up to 4 KB


def hourly(
    values: Mapping[str, str], reserved: bool, account_concurrency: int, table_units: Mapping[str, int | None]
) -> dict[str, float]:
    """Return the dollars of the worst hour, by part, for the parameters `values` of a stack.

    `reserved`: whether the functions have their Concurrency, else they share what the account has. `table_units` are
    the most read units a second of each table, None where it is not bounded. The throttle may count for each route.
    """
    models = deployed_models(dict(values))
    rate = int(values["Throttle"])  # requests a second, each model
    requests = HOUR * rate * len(models)
    body_gb = int(values["MaxBodyBytes"]) / 1e9
    # A body that is refused for its size costs parts; one that is answered costs its way back.
    largest = PARTS_OF_LARGEST_BODY * prices.DOLLARS_PER_API_REQUEST
    answered = prices.DOLLARS_PER_API_REQUEST + ANSWER_PER_BODY * body_gb * prices.DOLLARS_PER_GB_SENT
    concurrency = int(values["Concurrency"])
    if reserved and concurrency:
        running = min(concurrency, rate * TIMEOUT) * len(models)
    else:
        running = min(account_concurrency, rate * TIMEOUT * len(models))
    units = 0.0
    for table in {values[f"{MODELS[model]}Table"] for model in models}:
        asked = sum(values[f"{MODELS[model]}Table"] == table for model in models) * rate
        most = asked * int(values["MaxDistinctWords"]) * UNITS_OF_A_READ
        bound = table_units.get(table)
        units += most if bound is None else min(most, bound)
    return {
        "gateway and answers": requests * max(largest, answered),
        "Lambda": requests * prices.DOLLARS_PER_LAMBDA_REQUEST
        + HOUR * running * int(values["Memory"]) / 1024 * prices.DOLLARS_PER_GB_SECOND,
        "reads": HOUR * units * DOLLARS_PER_READ_UNIT,
        "logs": requests * LOG_BYTES / 1e9 * prices.DOLLARS_PER_LOG_GB,
    }


def warning(parts: Mapping[str, float]) -> str:
    """Return the line that says who may call, and what that can cost."""
    detail = ", ".join(f"{part} {dollars:.2f}" for part, dollars in parts.items())
    return f"anyone may call (Auth=none), and make it cost ${sum(parts.values()):.2f} an hour at most ({detail})"
