"""Measure what a request writes into the logs, in bytes: the function's line, the API's, and those of Lambda itself.

    python bench/log_bytes.py

The function's line is that of each dev sentence (or of the demo sentences; see workload.py) through the handler, with
ids as long as AWS's. The API's is the format of template.yaml with values of the length they have on AWS. Lambda's,
which PlatformLogs=on brings, are `platform.start` and `platform.report` as its documentation shows them:
docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html. What is printed goes into
bench/results/durations.json.
"""

import contextlib
import io
import json
import re
import uuid
from types import SimpleNamespace
from typing import Any

import workload
from stub_server import stub_server

import kim_cnn.predict
from inference.dynamodb import read_client
from inference.gateway import http_handler
from inference.service import Service
from inference.settings import Settings
from inference.word_vectors import WordVectors
from toolkit import cli
from toolkit.deployment import template

REQUEST = str(uuid.UUID(int=0))
VALUES = {  # of $context, as long as on AWS
    "requestTime": "29/Nov/2026:12:00:00 +0000",
    "identity.sourceIp": "203.0.113.100",
    "httpMethod": "POST",
    "routeKey": "ANY /kim_cnn",
    "status": "200",
    "responseLatency": "12",
    "integrationLatency": "10",
    "integrationStatus": "200",
    "error.message": "-",
    "integrationErrorMessage": "-",
    "integration.requestId": REQUEST,
    "requestId": "JKJaXmPLvHcESHA=",
}
TIME = "2026-11-29T12:00:00.000Z"
METRICS = {"durationMs": 12.345, "billedDurationMs": 13, "memorySizeMB": 1769, "maxMemoryUsedMB": 120}
PLATFORM: list[dict[str, Any]] = [
    {"time": TIME, "type": "platform.start", "record": {"requestId": REQUEST, "version": "12"}},
    {
        "time": TIME,
        "type": "platform.report",
        "record": {"requestId": REQUEST, "metrics": METRICS, "status": "success"},
    },
]


def function_bytes() -> float:
    """Return the mean bytes of the function's line."""
    settings = Settings()
    model = workload.committed(kim_cnn.predict)
    vectors = WordVectors(read_client, "50-float32", model.vector_length, settings.word_cache_size)
    service = Service(kim_cnn.predict, model, vectors, settings, digest="0123456789ab")
    handler = http_handler(service.answer, settings)
    context = SimpleNamespace(aws_request_id=REQUEST)
    sentences = workload.sentences()
    with contextlib.redirect_stdout(io.StringIO()) as written:
        for sentence in sentences:
            http = {"http": {"method": "POST"}, "requestId": VALUES["requestId"]}
            handler({"requestContext": http, "body": json.dumps({"input": sentence})}, context)
    return len(written.getvalue().encode()) / len(sentences)


def api_bytes() -> int:
    """Return the bytes of the API's line."""
    line, parts = template.read()["Resources"]["Stage"]["Properties"]["AccessLogSettings"]["Format"]["Fn::Sub"]
    line = line.replace("${Ip}", parts["Ip"]["Fn::If"][1])  # as by default
    return len(re.sub(r"\$context\.([A-Za-z.]+)", lambda found: VALUES[found[1]], line))


def main() -> int:
    """Run the command line; return the exit code."""
    cli.parser(__doc__).parse_args()
    with stub_server():
        function = function_bytes()
    platform = sum(len(json.dumps(line, separators=(",", ":"))) for line in PLATFORM)
    print(f"function_log_bytes {function:.0f}\napi_log_bytes {api_bytes()}\nplatform_log_bytes {platform}")
    return 0


if __name__ == "__main__":
    cli.run(main)
