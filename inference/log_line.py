"""The line that the log gets for each request: JSON, with metrics if asked for, never the caller's text."""

import json
import logging
import sys
import time
from typing import Any

from inference.settings import Settings

NAMESPACE = "serverless-inference"
METRICS = {
    "distinct": "Count",
    "unknown": "Count",
    "cached": "Count",
    "cold": "Count",
    "tries": "Count",
    "lookup_seconds": "Seconds",
    "inference_seconds": "Seconds",
}


def write(facts: dict[str, Any], context: Any, settings: Settings) -> None:
    """Write a request's line to stdout, as Lambda takes it into the log as it is.

    LOG_LEVEL decides whether: INFO for all requests, above it for failures (5xx) alone.
    """
    level = logging.ERROR if facts["status"] >= 500 else logging.INFO
    if level >= logging.getLevelNamesMapping()[settings.log_level]:
        if settings.metrics and "unknown" in facts:
            facts = embedded(facts, getattr(context, "function_name", "here"), time.time())
        sys.stdout.write(json.dumps(facts, separators=(",", ":")) + "\n")


def embedded(facts: dict[str, Any], function: str, now: float) -> dict[str, Any]:
    """Return facts of a request that was answered in CloudWatch's embedded metric format.

    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metrics = [{"Name": name, "Unit": unit} for name, unit in METRICS.items()]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["function"]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": int(1000 * now), "CloudWatchMetrics": [directive]},
        "function": function,
        **facts,
        "cold": int(facts["cold"]),
    }
