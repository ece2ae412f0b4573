"""What a request costs on AWS, part by part, from measured durations and what it reads."""

import math
from dataclasses import dataclass
from typing import Any

from toolkit.prices import (
    DOLLARS_PER_API_REQUEST,
    DOLLARS_PER_GB_SECOND,
    DOLLARS_PER_LAMBDA_REQUEST,
    DOLLARS_PER_LOG_GB,
    DOLLARS_PER_RESTORED_GB,
)
from toolkit.traffic import Reads
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT, largest_item, read_units

WORD_BYTES = 10  # a long word; the read unit of an item of 50 or 300 dimensions does not depend on it
API_PARTS = ("gateway", "logs of the API")  # which function URLs do without


@dataclass(frozen=True)
class Way:
    """A way to serve requests, and the dollars of one, by part."""

    name: str
    snapstart: bool
    cache: bool
    parts: dict[str, float]

    @property
    def dollars(self) -> float:
        """Of one request through the API."""
        return sum(self.parts.values())

    @property
    def url_dollars(self) -> float:
        """Of one request through a function URL."""
        return self.dollars - sum(self.parts[part] for part in API_PARTS)


def per_request(durations: dict[str, Any], package: str, reads: Reads, life: int, snapstart: bool) -> dict[str, float]:
    """Return the dollars of one request, by part; a container's start is shared among its `life` requests."""
    measured, gigabytes = durations["packages"][package], durations["memory_mb"] / 1024
    cached = _billed(measured["cached_seconds"])
    uncached = _billed(measured["uncached_seconds"] + measured["read_wait_seconds"])
    warm = (1 - reads.reading) * cached + reads.reading * uncached
    start = measured["restore_seconds"] if snapstart else measured["start_seconds"]
    units = read_units(largest_item(WORD_BYTES, durations["dim"], "float32"))
    return {
        "gateway": DOLLARS_PER_API_REQUEST,
        "Lambda requests": DOLLARS_PER_LAMBDA_REQUEST,
        "Lambda time, requests": DOLLARS_PER_GB_SECOND * gigabytes * warm,
        "Lambda time, starts": DOLLARS_PER_GB_SECOND * gigabytes * start / life,
        "SnapStart restores": DOLLARS_PER_RESTORED_GB * gigabytes / life if snapstart else 0.0,
        "DynamoDB reads": DOLLARS_PER_READ_UNIT * units * reads.words * (1 - reads.hit_rate),
        "logs of the function": DOLLARS_PER_LOG_GB * durations["function_log_bytes"] / 1e9,
        "logs of the API": DOLLARS_PER_LOG_GB * durations["api_log_bytes"] / 1e9,
        "Step Functions, S3": 0.0,
    }


def _billed(seconds: float) -> float:
    return math.ceil(round(1e3 * seconds, 6)) / 1e3  # Lambda bills whole milliseconds
