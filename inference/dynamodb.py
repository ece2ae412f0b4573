"""The DynamoDB client for reads: boto3's, spared what takes it most of a call's time."""

import json
from binascii import a2b_base64
from typing import Any

import boto3
from botocore.config import Config

CONNECT_TIMEOUT, READ_TIMEOUT = 1.0, 2.0  # seconds a try waits for a connection, and for each part of an answer
PARALLEL_CALLS = 8


def dynamodb_client() -> Any:
    """Return the client: short timeouts, connections for PARALLEL_CALLS at once, no retries of its own.

    Retries are WordVectors' business, where UnprocessedKeys and errors share one backoff and one deadline.
    Region, credentials and endpoint come from the environment, as for every AWS tool.
    """
    client = boto3.Session().client(  # not the default session, whose credentials a SnapStart snapshot would keep
        "dynamodb",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=PARALLEL_CALLS,
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
            user_agent="serverless-inference",  # put together anew for each call otherwise, a tenth of its time
        ),
    )
    # botocore goes by the service's model through every key it sends and every value it gets: half of a call's time.
    # JSON and the client's binary values are all that is left to do.
    client.meta.events.register("provide-client-params.dynamodb.BatchGetItem", _write_request)
    client.meta.events.register("before-call.dynamodb.BatchGetItem", insert_body)
    client.meta.events.register("before-parse.dynamodb.BatchGetItem", _read_answer)
    return client


def _write_request(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put the request's JSON aside; leave botocore the tables, which may decide on the endpoint, without keys."""
    context["written_body"] = json.dumps(params).encode()
    return {"RequestItems": {table: {"Keys": []} for table in params["RequestItems"]}}


def insert_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Send the body that was put aside in `context`, if one was, in place of what botocore wrote."""
    if "written_body" in context:
        params["body"] = context["written_body"]


def _read_answer(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read an answer that is whole and of the expected form; leave any other to botocore."""
    if response_dict["status_code"] != 200:
        return
    try:
        answer = json.loads(response_dict["body"])
        for items in answer["Responses"].values():
            for item in items:
                vector = item.get("vector", {})
                if "B" in vector:
                    vector["B"] = a2b_base64(vector["B"], strict_mode=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"
