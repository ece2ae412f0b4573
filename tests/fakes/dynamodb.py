"""A DynamoDB of one table in memory, which can be told to misbehave: in place of a boto3 client, or over HTTP."""

import base64
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ClientError

Attributes = dict[str, Any]
Keys = list[dict[str, Any]]


class FakeDynamoDB:
    """The calls of a boto3 client on one table with the key `word`; they behave until they are told not to.

    The table has what was written to it, and the words that `attribute_of` gives a vector. `fault`, given the number of
    a BatchGetItem from 1 and its keys, may raise, or answer in place of the table.
    """

    def __init__(
        self,
        attribute_of: Callable[[str], Attributes | None] = lambda word: None,
        fault: Callable[[int, Keys], Any] = lambda number, keys: None,
        table: str = "words",
    ):
        self.attribute_of, self.table = attribute_of, table
        self.items: dict[str, Attributes] = {}  # word: its vector, as an attribute value
        self.table_id = "first"
        # How it misbehaves.
        self.fault = fault
        self.throttle_every = 0  # batch calls; 1: all of them
        self.unprocessed = 0.0  # share of the items or keys of a call
        self.capacity = float("inf")  # words a second that it takes; more are left, or throttled if none is taken
        self.latency = 0.0  # seconds a batch call takes
        # What was asked of it.
        self.calls: Counter[str] = Counter()  # by name, refused ones too
        self.written = self.read = 0  # words
        self.reads: list[list[str]] = []  # the words of each BatchGetItem
        self.closed = 0  # times
        self.most_items = 0  # in one write
        self._random = random.Random(0)
        self._left, self._filled = float("inf"), time.monotonic()  # words it takes at once, and since when
        self._lock = threading.Lock()

    def describe_table(self, TableName: str) -> Any:  # noqa: N803
        return {
            "Table": {
                "TableName": TableName,
                "TableArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{TableName}",
                "TableId": self.table_id,
                "TableStatus": "ACTIVE",
                "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
            }
        }

    def batch_write_item(self, RequestItems: Any) -> Any:  # noqa: N803
        self._begin("BatchWriteItem")
        requests = RequestItems[self.table]
        with self._lock:
            self.most_items = max(self.most_items, len(requests))
            done, left = self._share("BatchWriteItem", requests)
            for request in done:
                item = request["PutRequest"]["Item"]
                self.items[item["word"]["S"]] = item["vector"]
            self.written += len(done)
        return {"UnprocessedItems": {self.table: left} if left else {}}

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803
        self._begin("BatchGetItem")
        keys = RequestItems[self.table]["Keys"]
        words = [key["word"]["S"] for key in keys]
        # What DynamoDB refuses the whole batch for.
        assert 0 < len(set(words)) == len(words) <= 100
        assert all(0 < len(word.encode()) <= 2048 for word in words)
        with self._lock:
            self.reads.append(words)
            number = len(self.reads)
        answer = self.fault(number, keys)  # without the lock: it may wait for other calls
        if answer is not None:
            return answer
        with self._lock:
            done, left = self._share("BatchGetItem", keys)
            self.read += len(done)
        found = [(key, self._attribute(key["word"]["S"])) for key in done]
        items = [{**key, "vector": vector} for key, vector in found if vector is not None]
        return {"Responses": {self.table: items}, "UnprocessedKeys": {self.table: {"Keys": left}} if left else {}}

    def close(self) -> None:
        self.closed += 1

    def _attribute(self, word: str) -> Attributes | None:
        return self.items.get(word) or self.attribute_of(word)

    def _begin(self, operation: str) -> None:
        time.sleep(self.latency)
        with self._lock:
            self.calls[operation] += 1
            if self.throttle_every and self.calls[operation] % self.throttle_every == 0:
                raise _throttled(operation)

    def _share(self, operation: str, work: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return what is done of `work`, and what is left."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._filled) * self.capacity, self.capacity)
        self._filled = now
        done: list[Any] = []
        left: list[Any] = []
        for each in work:
            takes = self._random.random() >= self.unprocessed and len(done) + 1 <= self._left
            (done if takes else left).append(each)
        self._left -= len(done)
        if not done and self.capacity < float("inf"):
            raise _throttled(operation)
        return done, left

    @contextlib.contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it over HTTP; yield the URL for AWS_ENDPOINT_URL."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def do_POST(self) -> None:
                request = _from_json(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                methods: dict[str, Callable[..., Any]] = {
                    "DescribeTable": fake.describe_table,
                    "BatchWriteItem": fake.batch_write_item,
                    "BatchGetItem": fake.batch_get_item,
                }
                try:
                    status, answer = 200, _to_json(methods[operation](**request))
                except ClientError as error:
                    status, answer = 400, {"__type": f"com.amazonaws.dynamodb#{error.response['Error']['Code']}"}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        with _Server(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()


def _throttled(operation: str) -> ClientError:
    error = {"Code": "ProvisionedThroughputExceededException", "Message": "The table takes no more."}
    return ClientError({"Error": error}, operation)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients are killed in the middle of a call."""


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"B"}:
            return {"B": base64.b64decode(value["B"])}
        return {name: _from_json(each) for name, each in value.items()}
    return [_from_json(each) for each in value] if isinstance(value, list) else value


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _to_json(each) for name, each in value.items()}
    return [_to_json(each) for each in value] if isinstance(value, list) else value
