"""Measure what hostile requests make a deployed stack read, run, send and log, and what an hour of them costs.

    python utils/local_cloud.py -- python bench/worst_hour.py

Deploys both models on the local cloud, with the default parameters and with those of docs/deploy.md that keep the worst
hour below a dollar. Each model gets requests of as many new words as they let through, of the longest bodies, of one
that is too long, and of as many and as long words to explain. What the functions log says how many words were read and
how long it took; the local cloud does not throttle the table. The sums are those of toolkit/deployment/worst_bill.py,
per hour: from what was measured, and from what the parameters let a request take, as `utils/deploy.py up` says it.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import numpy as np

from inference.fields import BYTES_OF_EXPLAINED_WORD
from toolkit import cli
from toolkit.deployment import concurrency, template, worst_bill
from toolkit.deployment.worst_bill import Request

ROOT = template.ROOT
STACK = "worst-hour"
TIGHT = {"Throttle": "2", "Concurrency": "2", "MaxDistinctWords": "200"}
ROUNDS = 3
ACCESS_LOG_BYTES = 500  # of a request in the API's log, which the local cloud does not write


def run(*command: str) -> str:
    """Run a command of the project; return what it prints."""
    return subprocess.run([sys.executable, *command], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def bodies(values: dict[str, str], model: str) -> Iterator[bytes]:
    """Yield the hostile bodies: the most new words in each of ROUNDS, the longest, one too long, one to explain."""
    most, longest = int(values["MaxDistinctWords"]), int(values["MaxBodyBytes"])
    each = min(int(values["MaxWords"]), 200)
    words = [np.base_repr(36**4 + number, 36).lower() for number in range(ROUNDS * most)]
    texts = [
        [" ".join(words[first : min(first + each, start + most)]) for first in range(start, start + most, each)]
        for start in range(0, ROUNDS * most, most)
    ]
    # What is longer in lower case, as one text and as the most texts; and what is refused, but not without charge.
    most_texts = int(values["MaxSentences"])
    many = [f"{number}{'İ' * (longest // most_texts // 2 - 5)}" for number in range(most_texts)]
    for text in [*texts, ["İ" * ((longest - 200) // 2)], many, ["a" * longest]]:
        yield body(model, text)
    explained = int(values["MaxExplainedWords"])
    counted = explained if model == "kim_cnn" else explained - -(-explained // each)  # the question with each text
    long = [words[number % (most - 1)] + "İ" * ((BYTES_OF_EXPLAINED_WORD - 5) // 3) for number in range(counted)]
    yield body(model, [" ".join(long[first : first + each]) for first in range(0, counted, each)], explain=True)


def body(model: str, texts: list[str], **more: Any) -> bytes:
    """Return the body that asks a model about texts, of SM-CNN with the first five letters as the question."""
    fields = {"input": texts} if model == "kim_cnn" else {"sent1": texts[0][:5], "sent2": texts}
    return json.dumps({**fields, **more}, ensure_ascii=False).encode()


def post(url: str, body: bytes) -> tuple[int, int]:
    """Send a body; return the status and the bytes of the answer."""
    try:
        with urllib.request.urlopen(url, body, timeout=120) as answer:
            return answer.status, len(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, len(error.read())


def logged(stack: str, resource: str, count: int) -> list[dict[str, Any]]:
    """Return the lines of a function about requests, waited for until there are `count`, for a while at most."""
    client, logs = boto3.client("cloudformation"), boto3.client("logs")
    group = client.describe_stack_resource(StackName=stack, LogicalResourceId=resource)
    name = group["StackResourceDetail"]["PhysicalResourceId"]
    deadline = time.monotonic() + 30
    while True:
        events = logs.filter_log_events(logGroupName=name)["events"]
        lines = [json.loads(each["message"]) for each in events if '"bytes_in"' in each["message"]]
        if len(lines) >= count or time.monotonic() > deadline:
            return lines
        time.sleep(1)


def measured(parameters: dict[str, str]) -> None:
    """Deploy with the parameters, send the hostile requests, print a table of what they took and cost."""
    options = [f"--parameter={name}={value}" for name, value in parameters.items()]
    packages = ["--sm-cnn", "build/local/sm_cnn.zip", "--kim-cnn", "build/local/kim_cnn.zip"]
    urls = dict(
        line.split(" ", 1) for line in run("utils/deploy.py", "up", "--stack", STACK, *packages, *options).splitlines()
    )
    values = template.parameter_values(template.read(), {}, parameters)
    worst = Request(0, 0, 0, 0)
    print(f"\n{', '.join(f'{name}={value}' for name, value in parameters.items()) or 'default parameters'}\n")
    print("| model | body, bytes | status | answer, bytes | words read | batches | seconds | log, bytes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for model, prefix in template.MODELS.items():
        for sent in bodies(values, model):
            before = len(logged(STACK, f"{prefix}Logs", 0))
            status, size = post(urls[f"{prefix}Url"], sent)
            lines = logged(STACK, f"{prefix}Logs", before + 1)
            line = lines[-1] if len(lines) > before else {}
            words = line.get("distinct", 0) - line.get("cached", 0)
            log = len(json.dumps(line, separators=(",", ":"))) + ACCESS_LOG_BYTES
            seconds = line.get("seconds", 0.0)
            worst = Request(*map(max, worst, (words, seconds, size, log)))
            tries = line.get("tries", 0)
            print(f"| {model} | {len(sent):,} | {status} | {size:,} | {words:,} | {tries} | {seconds:.2f} | {log} |")
    units = {}
    for table in template.tables(values):
        described = boto3.client("dynamodb").describe_table(TableName=table)["Table"]
        units[table] = described.get("OnDemandThroughput", {}).get("MaxReadRequestUnits")
    print(f"\n| dollars of an hour | {' | '.join(parts := ['gateway and answers', 'Lambda', 'reads', 'logs'])} | sum |")
    print(f"| --- {'| ---: ' * (len(parts) + 1)}|")
    for name, request in (("measured", worst), ("what the parameters let through", worst_bill.largest_request(values))):
        for bound, of in ((units, "table bounded"), (dict.fromkeys(units), "table not bounded")):
            bill = worst_bill.hourly(values, True, concurrency.DEFAULT_LIMIT, bound, request)
            print(f"| {name}, {of} | {' | '.join(f'{bill[part]:.2f}' for part in parts)} | {sum(bill.values()):.2f} |")


def main() -> int:
    """Run the command line; return the exit code."""
    cli.parser(__doc__).parse_args()
    if "AWS_ENDPOINT_URL" not in os.environ:
        raise cli.CommandError("this is for the local cloud; see --help")
    for vectors, table in (("glove.6B.50d.sample", "word-vectors"), ("kim_cnn.vectors", "kim-vectors")):
        run("utils/upload_word_vectors_to_dynamo.py", f"data/{vectors}.txt.gz", table, "--create-table")
    for model in template.MODELS:
        command = [
            "utils/create_deployment_package.sh",
            model,
            "--runtime",
            "none",
            "--output",
            f"build/local/{model}.zip",
        ]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for parameters in ({}, TIGHT):
        measured(parameters)
    return 0


if __name__ == "__main__":
    cli.run(main)
