"""What callers can make a deployed stack cost in an hour at most, from what bounds them."""

from collections.abc import Mapping
from typing import NamedTuple

from inference.fields import BYTES_OF_EXPLAINED_WORD
from toolkit import prices
from toolkit.deployment.template import MODELS, deployed_models
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT

HOUR = 3600
TIMEOUT = 29  # seconds of a request at most, as in template.yaml
# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html: a body has 10 MB at most. It is billed even
# if it is refused, in parts of 512 KB (aws.amazon.com/api-gateway/pricing).
PARTS_OF_LARGEST_BODY = 20
# The texts come back, and may again as unknown words in lower case, of which İ has three bytes for its two.
ANSWERS_PER_BODY = 1 + 1.5
ANSWER_BYTES_OF_TEXT = 350  # of numbers and names
ANSWER_BYTES_OF_EXPLAINED_WORD = BYTES_OF_EXPLAINED_WORD + 30  # the word once more, and its number
LOG_BYTES = 2000  # of a request, in both logs
# docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html: what a function URL lets through, and nothing lowers it
URL_RATE = 10  # requests a second for each execution that the function may have at once
UNITS_OF_A_READ = 0.5  # an item of up to 4 KB


class Request(NamedTuple):
    """What a request takes at most."""

    words: float  # that are read
    seconds: float  # of a function
    answer_bytes: float
    log_bytes: float


def largest_request(values: Mapping[str, str]) -> Request:
    """Return what the parameters `values` of a stack let a request take."""
    answer = (
        ANSWERS_PER_BODY * int(values["MaxBodyBytes"])
        + ANSWER_BYTES_OF_TEXT * int(values["MaxSentences"])
        + ANSWER_BYTES_OF_EXPLAINED_WORD * int(values["MaxExplainedWords"])
    )
    return Request(int(values["MaxDistinctWords"]), TIMEOUT, answer, LOG_BYTES)


def hourly(
    values: Mapping[str, str],
    reserved: bool,
    account_concurrency: int,
    table_units: Mapping[str, int | None],
    request: Request | None = None,
) -> dict[str, float]:
    """Return the dollars of the worst hour, by part, for the parameters `values` of a stack.

    `reserved`: whether the functions have their Concurrency, else they share what the account has. `table_units` are
    the most read units a second of each table, None where it is not bounded. The throttle may count for each route.
    `request` is what one takes at most, by default what the parameters let it take.
    """
    request = request or largest_request(values)
    models = deployed_models(dict(values))
    concurrency = int(values["Concurrency"])
    answer = request.answer_bytes / 1e9 * prices.DOLLARS_PER_GB_SENT
    if values["Front"] == "http-api":
        rate = float(values["Throttle"])  # requests a second, each model
        # A body that is refused for its size costs parts; one that is answered costs its way back.
        largest = PARTS_OF_LARGEST_BODY * prices.DOLLARS_PER_API_REQUEST
        front = max(largest, prices.DOLLARS_PER_API_REQUEST + answer)
    else:
        rate = URL_RATE * (concurrency if reserved and concurrency else account_concurrency / len(models))
        front = answer
    requests = HOUR * rate * len(models)
    if reserved and concurrency:
        running = min(concurrency, rate * request.seconds) * len(models)
    else:
        running = min(account_concurrency, rate * request.seconds * len(models))
    units = 0.0
    for table in {values[f"{MODELS[model]}Table"] for model in models}:
        asked = sum(values[f"{MODELS[model]}Table"] == table for model in models) * rate
        most = asked * request.words * UNITS_OF_A_READ
        bound = table_units.get(table)
        units += most if bound is None else min(most, bound)
    return {
        "gateway and answers": requests * front,
        "Lambda": requests * prices.DOLLARS_PER_LAMBDA_REQUEST
        + HOUR * running * int(values["Memory"]) / 1024 * prices.DOLLARS_PER_GB_SECOND,
        "reads": HOUR * units * DOLLARS_PER_READ_UNIT,
        "logs": requests * request.log_bytes / 1e9 * prices.DOLLARS_PER_LOG_GB,
    }


def warning(parts: Mapping[str, float]) -> str:
    """Return the line that says who may call, and what that can cost."""
    detail = ", ".join(f"{part} {dollars:.2f}" for part, dollars in parts.items())
    return f"anyone may call (Auth=none), and make it cost ${sum(parts.values()):.2f} an hour at most ({detail})"
