"""Fixtures of the vector scripts: progress kept in a temporary folder, vector files, a DynamoDB that misbehaves."""

import base64
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.item_format import FORMATS, decode_vector


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for the progress of each test's uploads."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "serverless-inference"


@pytest.fixture
def vector_file(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file, GloVe text unless they begin with a header."""

    def write(*lines: str, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def many_words(tmp_path: Path) -> Path:
    """GloVe text of 5,000 words and 20 numbers each."""
    numbers = np.random.default_rng(0).normal(size=(5000, 20)).astype(np.float32)
    path = tmp_path / "many.txt"
    path.write_text("".join(f"word{i} {' '.join(row)}\n" for i, row in enumerate(numbers.astype(str).tolist())))
    return path


class Troubled(ThreadingHTTPServer):
    """A DynamoDB of one table, `words`, kept in memory; some calls are throttled, some items left unprocessed."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Calls)
        self.items: dict[str, dict[str, Any]] = {}
        self.writes = itertools.count()
        self.throttle_every = 0  # calls; 0: none
        self.unprocessed = 0.0  # share of items
        self.latency = 0.0  # seconds
        self.table_id = "first"
        self.written = 0
        self.most_items = self.most_bytes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def vector(self, word: str, length: int) -> np.ndarray:
        """Return the vector stored for `word`."""
        return decode_vector(self.items[word], length)


class _Calls(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    server: Troubled

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        try:
            answer = getattr(self, operation)(json.loads(data))
            status = 200
        except ThrottledError:
            status, answer = 400, {"__type": "com.amazonaws.dynamodb#ProvisionedThroughputExceededException"}
        self.server.most_bytes = max(self.server.most_bytes, len(data))
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def DescribeTable(self, _: Any) -> Any:  # noqa: N802
        return {
            "Table": {
                "TableName": "words",
                "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/words",
                "TableId": self.server.table_id,
                "TableStatus": "ACTIVE",
                "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
            }
        }

    def BatchWriteItem(self, request: Any) -> Any:  # noqa: N802
        number = next(self.server.writes)
        if self.server.throttle_every and number % self.server.throttle_every == 0:
            raise ThrottledError
        time.sleep(self.server.latency)
        requests = request["RequestItems"]["words"]
        self.server.most_items = max(self.server.most_items, len(requests))
        left = []
        for each in requests:
            if random.random() < self.server.unprocessed:
                left.append(each)
                continue
            item = each["PutRequest"]["Item"]
            vector = item["vector"]
            stored = {"B": base64.b64decode(vector["B"])} if "B" in vector else vector
            self.server.items[item["word"]["S"]] = stored
            self.server.written += 1
        return {"UnprocessedItems": {"words": left} if left else {}}

    def BatchGetItem(self, request: Any) -> Any:  # noqa: N802
        found, left = [], []
        for key in request["RequestItems"]["words"]["Keys"]:
            word = key["word"]["S"]
            if random.random() < self.server.unprocessed:
                left.append(key)
            elif word in self.server.items:
                vector = self.server.items[word]
                packed = {"B": base64.b64encode(vector["B"]).decode()} if "B" in vector else vector
                found.append({"word": {"S": word}, "vector": packed})
        return {"Responses": {"words": found}, "UnprocessedKeys": {"words": {"Keys": left}} if left else {}}


class ThrottledError(Exception):
    """The table takes no more."""


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Troubled]:
    """A server that behaves until it is told not to; boto3 talks to it."""
    server = Troubled()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=FORMATS)
def item_format(request: pytest.FixtureRequest) -> str:
    """Each of the item formats."""
    return str(request.param)
