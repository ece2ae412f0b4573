"""Create and check the word vector table, write and read it in parallel batches.

Nothing is dropped: calls that are throttled, cut off or answered in part are made again for what is left.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import boto3
import numpy as np
from botocore.config import Config

from inference.dynamodb import RefusedError, UnavailableError, complete
from inference.item_format import KEY_BYTES, item, key
from toolkit.cli import CommandError, log
from toolkit.vectors.guards import Guards, check_guards, let_recover
from toolkit.vectors.selection import Item

BATCH_ITEMS = 25  # most items BatchWriteItem takes
BATCH_BYTES = 15 << 20  # it takes 16 MB
PARALLEL_CALLS = 8  # at 10 ms a call, 20,000 words a second; more threads only wait for one interpreter
PENDING_BATCHES = 4 * PARALLEL_CALLS  # most that are read from the file before the first of them is written
PATIENCE = 300.0  # seconds a batch is tried without any of it being done

Task = TypeVar("Task")
Result = TypeVar("Result")
Pause = Callable[[float], None]

TABLE = {
    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def control_client() -> Any:
    """Return a DynamoDB client for tables and imports. Region and endpoint come from the environment."""
    return boto3.client("dynamodb", config=Config(retries={"mode": "standard", "total_max_attempts": 10}))


def data_client() -> Any:
    """Return a DynamoDB client for many batches at once. Region and endpoint come from the environment."""
    config = Config(
        connect_timeout=5,
        read_timeout=20,
        max_pool_connections=PARALLEL_CALLS,
        parameter_validation=False,  # the items are made here
        # Few attempts: `complete` goes on trying, and can be interrupted. Not adaptive mode, which is experimental:
        # for a table that takes 1,000 words a second it wrote 795, this mode all; at steady throttling it stands still.
        retries={"mode": "standard", "total_max_attempts": 3},
        tcp_keepalive=True,
    )
    return boto3.client("dynamodb", config=config)


def open_table(client: Any, table: str, create: bool = False, guards: Guards = Guards()) -> str:  # noqa: B008  # frozen
    """Wait until `table` is active, created on demand and guarded if `create` says so and there is none.

    Returns an id that no other table ever had, whatever its name. Raises CommandError when there is no such table, when
    its key is not `word`, a string, or when one that exists is guarded otherwise than `guards` says.
    """
    made = False
    if create:
        with contextlib.suppress(client.exceptions.ResourceInUseException):
            client.create_table(TableName=table, **TABLE, **guards.throughput_and_key(), **guards.protection_and_tags())
            made = True
    else:
        try:
            client.describe_table(TableName=table)
        except client.exceptions.ResourceNotFoundException:
            raise CommandError(f"no table {table} here; --create-table creates it") from None
    # Right after CreateTable, DescribeTable may not know the table yet; the waiter goes on until it does.
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
    description = client.describe_table(TableName=table)["Table"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in description["KeySchema"]]
    types = {each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]}
    if keys != [("word", "HASH")] or types.get("word") != "S":
        raise CommandError(f"table {table} has another key than `word`, a string; give another table")
    if made:
        let_recover(client, table, guards)
    else:
        check_guards(client, description, guards)
    created = f"{description['TableArn']} {description.get('CreationDateTime')}"
    return str(description.get("TableId") or created)


def batch_items(dim: int, format: str) -> int:
    """Return how many items of `dim` dimensions go into one call, within BATCH_ITEMS and BATCH_BYTES."""
    word = 6 * KEY_BYTES  # JSON escapes
    vector = 30 * dim if format == "list" else 4 * np.dtype(format).itemsize * dim // 3
    return max(1, min(BATCH_ITEMS, BATCH_BYTES // (word + vector + 100)))


def in_order(
    call: Callable[[Task, Pause], Result], tasks: Iterable[Task]
) -> Generator[tuple[Task, Result], None, None]:
    """Yield each task with `call(task, pause)`, in order, while up to PARALLEL_CALLS threads make the calls.

    `call` waits with `pause(seconds)`, which ends it when this generator is closed. When `tasks` raises a CommandError,
    the tasks before it are done and yielded first.
    """
    stopped = threading.Event()

    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise CommandError("stopped")

    pending: deque[tuple[Task, Future[Result]]] = deque()

    def first() -> tuple[Task, Result]:
        task, future = pending.popleft()
        return task, future.result()

    pool = ThreadPoolExecutor(PARALLEL_CALLS)
    try:
        failure: CommandError | None = None
        try:
            for task in tasks:
                pending.append((task, pool.submit(call, task, pause)))
                while len(pending) >= PENDING_BATCHES or (pending and pending[0][1].done()):
                    yield first()
        except CommandError as error:
            failure = error
        while pending:
            yield first()
        if failure:
            raise failure
    except KeyboardInterrupt:
        log("stopping as soon as the calls under way have ended")
        raise
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def write(client: Any, table: str, items: Sequence[Item], pause: Pause = time.sleep) -> None:
    """Put up to BATCH_ITEMS items. Raises CommandError when the table refuses them, or takes none for PATIENCE."""

    def call(puts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        left: list[dict[str, Any]] = (
            client.batch_write_item(RequestItems={table: puts}).get("UnprocessedItems", {}).get(table, [])
        )
        return left

    puts = [{"PutRequest": {"Item": item(word, vector)}} for word, vector in items]
    _complete(table, call, puts, pause)


def read(client: Any, table: str, words: Sequence[str], pause: Pause = time.sleep) -> dict[str, dict[str, Any]]:
    """Return the vector attributes of up to BATCH_KEYS words, as of now; words without item are left out.

    Raises CommandError as `write`.
    """
    found: dict[str, dict[str, Any]] = {}

    def call(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        for each in answer["Responses"].get(table, []):
            found[each["word"]["S"]] = each.get("vector", {})
        left: list[dict[str, Any]] = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        return left

    _complete(table, call, [key(word) for word in words], pause)
    return found


def _complete(table: str, call: Callable[[list[Any]], list[Any]], work: list[Any], pause: Pause) -> None:
    if not work:
        return
    try:
        complete(call, work, time.monotonic() + PATIENCE, extension=PATIENCE, sleep=pause)
    except UnavailableError as error:
        raise CommandError(f"table {table}: nothing done for {PATIENCE:.0f} s ({error}); try again later") from error
    except RefusedError as error:
        raise CommandError(f"table {table}: {error}") from error
