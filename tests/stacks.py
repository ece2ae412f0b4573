"""What tests of deployments share: requests to what is deployed, one by one or while something happens to it."""

import concurrent.futures
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from tests import contract
from tests.conftest import ROOT, Cloud

DEPLOY = ROOT / "utils/deploy.py"
PAIR = {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}
SENTENCE = {"input": "this is a very good movie"}


def call(url: str, fields: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Return what `send` does, once it is what openapi.yaml promises."""
    status, body, answered = send(url, fields, method, **headers)
    contract.check(contract.path_of(url), method, status, answered, body)
    return status, body, answered


def send(url: str, fields: Any = None, method: str = "POST", **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Send `fields` as JSON, or bytes as they are; return status, parsed body and headers, repeated ones joined."""
    data = fields if fields is None or isinstance(fields, bytes) else json.dumps(fields).encode()
    request = urllib.request.Request(url, data, method=method, headers={"Origin": "https://example.org", **headers})
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        headers = {name: ", ".join(answer.headers.get_all(name)) for name in answer.headers}
        return answer.status, json.loads(body) if body else None, headers


def fresh_words() -> dict[str, str]:
    """Return a request to Kim CNN with a word that no cache has."""
    return {"input": f"word{time.time_ns()}"}


def under_traffic(url: str, fields: Callable[[], Any], work: Callable[[], Any]) -> list[tuple[int, Any]]:
    """Keep sending requests in two threads while `work` runs; return their statuses and bodies."""
    done: list[bool] = []

    def keep_calling() -> list[tuple[int, Any]]:
        answers = []
        while not done:
            answers.append(call(url, fields())[:2])
            time.sleep(0.1)
        return answers

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        traffic = [pool.submit(keep_calling) for _ in range(2)]
        try:
            work()
            time.sleep(0.5)
        finally:
            done.append(True)
        return [answer for future in traffic for answer in future.result()]


def printed(stdout: str) -> dict[str, str]:
    """Return what a command of utils/deploy.py prints, a name and a value a line."""
    return dict(line.split(" ", 1) for line in stdout.splitlines())


def make_table(cloud: Cloud, name: str) -> Any:
    """Make an empty table for word vectors; return a client to fill it with."""
    client = cloud.client("dynamodb")
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "word", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return client


def served(cloud: Cloud, stack: str, version: str = "live") -> dict[str, dict[str, Any]]:
    """Return the configuration of the version that each model's function of a stack serves, by its handler.

    The version "$LATEST" is what the stack has, which `rollback` leaves as it is.
    """
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    names = [item["PhysicalResourceId"] for item in resources if item["LogicalResourceId"].endswith("CnnFunction")]
    client = cloud.client("lambda")
    found = [client.get_function_configuration(FunctionName=name, Qualifier=version) for name in names]
    return {item["Handler"]: item for item in found}


def versions(cloud: Cloud, stack: str) -> dict[str, str]:
    """Return the number of the version that each model's function serves."""
    return {handler: item["Version"] for handler, item in served(cloud, stack).items()}
