"""What a run makes and what it can cost at most, computed from the prices that utils/estimate_cost.py uses."""

import math
from typing import NamedTuple

from toolkit import prices as lambda_prices
from toolkit.vectors import prices
from utils.estimate_cost import ALARM_METRICS_OF_FRONT, ALARM_METRICS_OF_MODEL

MOST_REQUESTS = 6000  # over HTTP; the run stops itself there
MOST_SECONDS = 2 * 3600  # of a run
WORDS = 10_085  # of the sample in data/
GB_OF_A_FUNCTION = 2.0  # the largest that a step asks for
# That alarms look at, of an API and two function URLs within one hour, and at most that functions write.
WATCHED_METRICS = 3 * ALARM_METRICS_OF_FRONT + 2 * ALARM_METRICS_OF_MODEL
STARTS = 90  # of functions: every version of both models, and the first requests that come at once
VERSIONS = 16  # of both functions together
DOLLARS_PER_1000_PUTS = 0.005  # https://aws.amazon.com/s3/pricing/ (us-east-1, as of 2026-11)


class Row(NamedTuple):
    """A part of the cost: how much of what, and the price of one."""

    what: str
    amount: float
    price: float


def rows(snapstart: bool) -> list[Row]:
    """Return the parts of the most that a run can cost, without free tiers."""
    busy = MOST_REQUESTS * 0.25 + STARTS * 10  # seconds; a start may take the ten that Lambda gives it
    reads = 4 * WORDS + 8 * MOST_REQUESTS  # each word read back twice after two uploads; eight words a request
    watched = WATCHED_METRICS * (lambda_prices.DOLLARS_PER_ALARM_METRIC + lambda_prices.DOLLARS_PER_METRIC)
    watched += lambda_prices.DOLLARS_PER_DASHBOARD
    kept = VERSIONS * GB_OF_A_FUNCTION * 3 * 3600  # a snapshot is billed for three hours at least
    rows = [
        Row("DynamoDB write units", WORDS, prices.DOLLARS_PER_WRITE_UNIT),
        Row("DynamoDB read units", reads, prices.DOLLARS_PER_READ_UNIT),
        Row("DynamoDB import, GB", 0.01, prices.DOLLARS_PER_GB_IMPORTED),
        Row("Lambda GB-seconds", busy * GB_OF_A_FUNCTION, lambda_prices.DOLLARS_PER_GB_SECOND),
        Row("Lambda requests", MOST_REQUESTS + STARTS, lambda_prices.DOLLARS_PER_LAMBDA_REQUEST),
        Row("API Gateway requests", MOST_REQUESTS, lambda_prices.DOLLARS_PER_API_REQUEST),
        Row("logs, GB", MOST_REQUESTS * 3e3 / 1e9, lambda_prices.DOLLARS_PER_LOG_GB),
        Row("S3 requests, 1,000", 0.5, DOLLARS_PER_1000_PUTS),
        Row("alarms, metrics, dashboard, h", MOST_SECONDS / 3600 + 1, watched / lambda_prices.HOURS_PER_MONTH),
        Row("traces", MOST_REQUESTS, lambda_prices.DOLLARS_PER_TRACE),
    ]
    if snapstart:
        rows += [
            Row("SnapStart, GB-seconds kept", kept, lambda_prices.DOLLARS_PER_SNAPSHOT_GB_SECOND),
            Row("SnapStart, GB restored", STARTS * GB_OF_A_FUNCTION, lambda_prices.DOLLARS_PER_RESTORED_GB),
        ]
    return rows


def ceiling(snapstart: bool) -> float:
    """Return the most that a run can cost, in dollars, rounded up to cents."""
    return math.ceil(100 * sum(row.amount * row.price for row in rows(snapstart))) / 100


def text(name: str, account: str, region: str, snapstart: bool, steps: list[str]) -> str:
    """Return the plan of a run for people to read."""
    table = [f"  {row.what:<28}{row.amount:>12,.3f}{row.amount * row.price:>10.4f}" for row in rows(snapstart)]
    return "\n".join(
        [
            f"Run {name} in account {account}, region {region}.",
            f"Makes stack {name} (functions, roles, logs, an API or function URLs, a bucket that anyone may read),",
            f"tables {name}-… and bucket {name}-files.",
            "Removes all of it at the end, also when it fails or is interrupted. Steps:",
            *steps,
            "Costs at most, in dollars of us-east-1, without free tiers:",
            *table,
            f"  {'in all, at most':<40}{ceiling(snapstart):>10.2f}",
        ]
    )
