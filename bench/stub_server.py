"""A DynamoDB that answers from memory and keeps nothing: what is left of a time is the client's.

It is a process of its own, so that its time is not the client's. BatchGetItem knows every word, in tables named
`{dim}-{format}`; vectors are random: no time depends on their values, but for those of a list format, written with the
digits GloVe has. BatchWriteItem takes everything.
"""

import base64
import json
import multiprocessing
import os
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from inference.item_format import encode_vector

# Before a handler is imported, which makes its client.
os.environ.update(AWS_ACCESS_KEY_ID="stub", AWS_SECRET_ACCESS_KEY="stub", AWS_DEFAULT_REGION="us-east-1")  # nosec B106 # no secret

DISTINCT = 64  # vectors the stub has; words share them
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OPERATION = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_TABLE = {
    "TableName": "words",
    "TableStatus": "ACTIVE",
    "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/words",
    "TableId": "00000000-0000-0000-0000-000000000000",
    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
}


@contextmanager
def stub_server(latency: float = 0.0) -> Iterator[None]:
    """Serve, each answer `latency` seconds late, and point boto3 at it."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there, latency), daemon=True)
    process.start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{here.recv()}"
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _serve(connection: Any, latency: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    connection.send(listener.getsockname()[1])
    while True:
        threading.Thread(target=_converse, args=(listener.accept()[0], latency), daemon=True).start()


def _converse(connection: socket.socket, latency: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while data := connection.recv(1 << 18):
        received += data
        head, end, body = received.partition(b"\r\n\r\n")
        if end and len(body) == int(_header(_LENGTH, head)):
            received = b""
            operation = _header(_OPERATION, head)
            time.sleep(latency)
            connection.sendall(_items(body) if operation == b"BatchGetItem" else _same(operation))


def _header(pattern: re.Pattern[bytes], head: bytes) -> bytes:
    found = pattern.search(head)
    if found is None:
        raise ValueError(f"no {pattern.pattern!r} in the request")
    return found[1]


@cache
def _same(operation: bytes) -> bytes:
    answers: dict[bytes, dict[str, Any]] = {
        b"BatchWriteItem": {"UnprocessedItems": {}},
        b"DescribeTable": {"Table": _TABLE},
    }
    return _packed(answers[operation])


@cache
def _items(body: bytes) -> bytes:
    ((table, wanted),) = json.loads(body)["RequestItems"].items()
    words = [key["word"]["S"] for key in wanted["Keys"]]
    vectors = [_vector(table, zlib.crc32(word.encode()) % DISTINCT) for word in words]
    items = [{"word": {"S": word}, "vector": vector} for word, vector in zip(words, vectors, strict=True)]
    return _packed({"Responses": {table: items}, "UnprocessedKeys": {}})


def _packed(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\nx-amzn-RequestId: STUB\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


@cache
def _vector(table: str, seed: int) -> dict[str, Any]:
    dim, format = table.split("-")
    vector = np.random.default_rng(seed).normal(0, 0.5, int(dim)).round(5).astype(np.float32)
    attribute = encode_vector(vector, format)
    return {"B": base64.b64encode(attribute["B"]).decode()} if "B" in attribute else attribute
