"""The word vector table from the uploader's side: made and checked, written and read back in parallel.

Nothing is dropped: a call that is throttled, cut off or answered in part is made again for what is left,
with fewer calls at once.
"""

import binascii
import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import boto3
import numpy as np
import orjson
from botocore.config import Config
from botocore.exceptions import ClientError

from inference.dynamodb import insert_body
from inference.item_format import KEY_BYTES
from inference.word_vectors import BACKOFF_BASE, CONNECTION_ERRORS, TRANSIENT_ERRORS
from toolkit.cli import CommandError

BATCH_ITEMS = 25  # most items BatchWriteItem takes
BATCH_BYTES = 15 << 20  # it takes 16 MB
PARALLEL_CALLS = 32
PENDING_BATCHES = 4 * PARALLEL_CALLS  # most of them pausing before another try; each has a thread
FEW_WAITING, MANY_WAITING = 2, 4  # calls
AT_ONCE = 1.5  # times the time a call computes here
BACKOFF_CAP = 10.0  # seconds
PATIENCE = 300.0  # seconds a batch is tried without any of it being taken

Task = TypeVar("Task")
Result = TypeVar("Result")

TABLE = {
    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def client(service: str = "dynamodb") -> Any:
    """Return a client that leaves retries to this module. Region and endpoint come from the environment."""
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=PARALLEL_CALLS,
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
        user_agent="serverless-inference",  # put together anew for each call otherwise, a tenth of its time
    )
    return boto3.client(service, config=config)


def create_table(client: Any, table: str) -> None:
    """Create `table`, on demand, unless it exists."""
    with contextlib.suppress(client.exceptions.ResourceInUseException):
        client.create_table(TableName=table, **TABLE)


def open_table(client: Any, table: str) -> str:
    """Wait until `table` is active; return what tells it from any table that ever had its name.

    Raises CommandError when there is no such table or its key is not `word`, a string.
    """
    try:
        client.describe_table(TableName=table)
    except client.exceptions.ResourceNotFoundException:
        raise CommandError(f"no table {table} here; --create-table makes it") from None
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    description = client.describe_table(TableName=table)["Table"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in description["KeySchema"]]
    types = {each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]}
    if keys != [("word", "HASH")] or types.get("word") != "S":
        raise CommandError(f"table {table} has another key than `word`, a string; give another table")
    created = f"{description['TableArn']} {description.get('CreationDateTime')}"
    return str(description.get("TableId") or created)


def batch_items(dim: int, format: str) -> int:
    """Return how many items of `dim` numbers go into one call, within BATCH_ITEMS and BATCH_BYTES."""
    word = 6 * KEY_BYTES  # JSON escapes
    vector = 30 * dim if format == "list" else 4 * np.dtype(format).itemsize * dim // 3
    return max(1, min(BATCH_ITEMS, BATCH_BYTES // (word + vector + 100)))


def item_json(word: str, attribute: dict[str, Any]) -> bytes:
    """Return an item in DynamoDB JSON, as requests and imports have it."""
    if "B" in attribute:
        vector = b'{"B":"%b"}' % binascii.b2a_base64(attribute["B"], newline=False)
    else:
        vector = orjson.dumps(attribute)
    return b'{"word":{"S":%b},"vector":%b}' % (orjson.dumps(word), vector)


def _put_aside(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any] | None:
    """Keep the JSON of a whole request that stands in place of its items; leave botocore the table alone."""
    ((table, items),) = params["RequestItems"].items()
    if not isinstance(items, bytes):
        return None
    context["written_body"] = items
    return {"RequestItems": {table: []}}


class VectorTable:
    """A table under load: as many calls at once as it takes."""

    def __init__(self, client: Any, table: str):
        """Write and read `table` through `client`, from any number of threads."""
        self.client, self.table = client, table
        self.throttled = 0  # calls that were refused or answered in part
        self._stopped = threading.Event()  # no more tries
        self._limit = 1.0
        self._fastest = float("inf")  # call, in seconds
        self._running = 0
        self._last_cut = 0.0
        self._free = threading.Condition()
        # botocore's serializer took a third of a call.
        events = client.meta.events
        events.register("provide-client-params.dynamodb.BatchWriteItem", _put_aside, "put-aside")
        events.register("before-call.dynamodb.BatchWriteItem", insert_body, "insert-body")

    @property
    def parallel(self) -> int:
        """How many calls may run at once now."""
        return int(self._limit)

    def in_order(
        self, call: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Result], None, None]:
        """Yield each task with `call(task)`, in order; threads make the calls, some ahead, at most `parallel` at once.

        Where one at a time is best, it is made in this thread: two would pass the interpreter to and fro. When `tasks`
        raises, what it gave before is done and yielded first.
        """

        def call_and_leave(task: Task) -> Result:
            try:
                return call(task)
            finally:
                self._leave()

        pending: deque[tuple[Task, Future[Result]]] = deque()
        failure: Exception | None = None
        self._stopped.clear()
        tasks = iter(tasks)
        pool = ThreadPoolExecutor(PENDING_BATCHES)
        try:
            while True:
                try:
                    task = next(tasks)
                except StopIteration:
                    break
                except Exception as error:
                    failure = error
                    break
                if self.parallel == 1 and not pending:
                    yield task, call(task)
                    continue
                self._enter()  # here: a thread woken only to wait its turn costs as much as the turn
                pending.append((task, pool.submit(call_and_leave, task)))
                while pending and (pending[0][1].done() or len(pending) >= PENDING_BATCHES):
                    done, future = pending.popleft()
                    yield done, future.result()
            for done, future in pending:
                yield done, future.result()
            if failure:
                raise failure
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    def write(self, items: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Put up to BATCH_ITEMS words and vector attributes, however many tries it takes."""
        if not items:
            return
        puts = b",".join([b'{"PutRequest":{"Item":%b}}' % item_json(*item) for item in items])
        body = b'{"RequestItems":{%b:[%b]}}' % (orjson.dumps(self.table), puts)

        def call(requests: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
            answer = self.client.batch_write_item(RequestItems={self.table: body if requests is None else requests})
            left: list[dict[str, Any]] = answer.get("UnprocessedItems", {}).get(self.table, [])
            return left

        self._until_done(call, None, len(items))

    def read(self, words: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the vector attributes of up to 100 words, as of now; words without item are left out."""
        found: dict[str, dict[str, Any]] = {}

        def call(keys: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
            request = {"Keys": keys or [{"word": {"S": word}} for word in words], "ConsistentRead": True}
            answer = self.client.batch_get_item(RequestItems={self.table: request})
            for item in answer["Responses"].get(self.table, []):
                found[item["word"]["S"]] = item.get("vector", {})
            left: list[dict[str, Any]] = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
            return left

        if words:
            self._until_done(call, None, len(words))
        return found

    def _until_done(self, call: Callable[[list[Any] | None], list[Any]], work: list[Any] | None, size: int) -> None:
        """Make `call(work)`, then `call` of what it left, until nothing is left."""
        attempt, last_progress = 0, time.monotonic()
        while True:
            left = work
            start, computing = time.monotonic(), time.thread_time()
            try:
                left = call(work)
                cause = "items left unprocessed"
            except ClientError as error:
                cause = error.response["Error"]["Code"]
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if cause not in TRANSIENT_ERRORS and status < 500:
                    raise
            except CONNECTION_ERRORS as error:
                cause = str(error)
            self._adapt(left == [], time.monotonic() - start, time.thread_time() - computing)
            if left == []:
                return
            if left is not None and len(left) < size:
                size, attempt, last_progress = len(left), 0, time.monotonic()
            work = left
            # Full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015).
            pause = random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 10)))  # noqa: S311
            attempt += 1
            if time.monotonic() + pause > last_progress + PATIENCE:
                raise CommandError(f"table {self.table} took nothing for {PATIENCE:.0f} s ({cause}); try again later")
            self._leave()
            stopped = self._stopped.wait(pause)
            self._enter()
            if stopped:
                raise CommandError("stopped")

    def _enter(self) -> None:
        """Wait until one more call may run, and count it."""
        with self._free:
            while self._running >= self.parallel:
                self._free.wait()
            self._running += 1

    def _leave(self) -> None:
        """Let another call run instead of this one."""
        with self._free:
            self._running -= 1
            self._free.notify()

    def _adapt(self, success: bool, seconds: float, computing: float) -> None:
        """Allow more calls at once after one that took `seconds`, of them `computing` here, or fewer.

        Half as many after a throttled one, as in TCP (Chiu and Jain, 1989); otherwise one more a round, until
        calls only wait for one another, as in TCP Vegas (Brakmo and Peterson, 1995). Where an answer comes at once,
        more would wait for one interpreter.
        """
        with self._free:
            if success:
                self._fastest = min(self._fastest, seconds)
                waiting = self._limit * (1 - self._fastest / seconds)
                if waiting > MANY_WAITING or self._fastest < AT_ONCE * computing:
                    self._limit = max(1.0, self._limit - 1 / self._limit)
                elif waiting < FEW_WAITING:
                    # Alone for a few calls: only there can be seen how fast the table answers.
                    self._limit = min(PARALLEL_CALLS, self._limit + (1 / self._limit if self.parallel > 1 else 1 / 8))
                    self._free.notify()
                return
            self.throttled += 1
            if time.monotonic() > self._last_cut + 0.5:  # the calls of one round are refused together
                self._last_cut = time.monotonic()
                self._limit = max(1.0, self._limit / 2)
