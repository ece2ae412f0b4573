"""The table from the writing side: opened, written and read in batches, whatever it answers."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from inference.item_format import FORMATS, encode_vector
from tests.fakes.dynamodb import FakeDynamoDB
from toolkit.cli import CommandError
from toolkit.vectors import table as vector_table
from toolkit.vectors.bulk_import import import_line
from toolkit.vectors.table import batch_items, data_client, in_order, open_table, read, write
from toolkit.vectors.upload import same_vector

ITEM = ("a", encode_vector(np.ones(2, np.float32)))


def no_pause(seconds: float) -> None:
    pass


def test_a_table_just_created_is_waited_for_before_it_is_described(dynamodb: Any) -> None:
    """DescribeTable may not know it yet."""

    class Late:
        exceptions, create_table = dynamodb.exceptions, dynamodb.create_table
        known = False

        def get_waiter(self, name: str) -> Any:
            self.known = True
            return dynamodb.get_waiter(name)

        def describe_table(self, **request: Any) -> Any:
            assert self.known
            return dynamodb.describe_table(**request)

    assert "table/new" in open_table(Late(), "new", create=True)


def test_batches_are_completed_over_throttled_and_unprocessed_ones() -> None:
    fake = FakeDynamoDB()
    fake.throttle_every, fake.unprocessed = 3, 0.5
    items = [(f"word{number}", ITEM[1]) for number in range(25)]
    write(fake, "words", items, no_pause)
    assert fake.items == dict(items)
    assert read(fake, "words", [*fake.items, "none"], no_pause) == fake.items
    assert fake.calls["BatchWriteItem"] > 2


@pytest.mark.parametrize("call", [lambda fake: write(fake, "words", []), lambda fake: read(fake, "words", [])])
def test_nothing_to_do_is_no_call(call: Any) -> None:
    fake = FakeDynamoDB()
    call(fake)
    assert not fake.calls


def test_gives_up_on_a_table_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_table, "PATIENCE", 0.2)
    fake = FakeDynamoDB()
    fake.throttle_every = 1
    with pytest.raises(CommandError, match=r"table words: nothing done for .*ProvisionedThroughputExceededException"):
        write(fake, "words", [ITEM])


def test_an_error_that_no_retry_changes_ends_the_run(dynamodb: Any) -> None:
    with pytest.raises(CommandError, match=r"table nowhere: .*ResourceNotFoundException"):
        write(data_client(), "nowhere", [ITEM])


def test_results_come_in_order_of_the_tasks_which_run_in_parallel() -> None:
    together = threading.Barrier(vector_table.PARALLEL_CALLS)

    def call(task: int, pause: Any) -> int:
        together.wait(30)
        return task * task

    tasks = range(2 * vector_table.PARALLEL_CALLS)
    assert list(in_order(call, tasks)) == [(task, task * task) for task in tasks]


def test_tasks_are_taken_no_further_ahead_than_the_window() -> None:
    taken, go = 0, threading.Event()

    def tasks() -> Iterator[int]:
        nonlocal taken
        for task in range(1000):
            taken += 1
            if taken == vector_table.PENDING_BATCHES:
                go.set()
            yield task

    def call(task: int, pause: Any) -> None:
        assert go.wait(30)

    for done, (_, _) in enumerate(in_order(call, tasks()), 1):
        assert taken <= done + vector_table.PENDING_BATCHES
    assert done == 1000


def test_a_bad_line_comes_after_the_tasks_before_it() -> None:
    def tasks() -> Iterator[int]:
        yield from range(40)
        raise CommandError("line 41")

    done = []
    with pytest.raises(CommandError, match="line 41"):
        for task, _ in in_order(lambda task, pause: None, tasks()):
            done.append(task)
    assert done == list(range(40))


def test_closing_ends_calls_that_pause() -> None:
    def call(task: int, pause: Any) -> None:
        if task:
            pause(600)

    calls = in_order(call, range(10))
    assert next(calls)[0] == 0
    calls.close()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dim", [1, 300, 10_000, 50_000])
def test_no_call_exceeds_16_mb(format: str, dim: int) -> None:
    vector = np.full(dim, -1.2345678e-30, np.float32)
    attribute = encode_vector(np.full(dim, 1.5, np.float32) if format == "float16" else vector, format)
    line = json.dumps(json.loads(import_line("\x01" * 2048, attribute)))  # spaces and escapes, as boto3 sends them
    assert batch_items(dim, format) * len(line) < 16_000_000
    assert batch_items(300, format) == 25


def test_lists_are_compared_as_numbers() -> None:
    assert same_vector({"L": [{"N": "10"}]}, {"L": [{"N": "1e+01"}]}, 1)
    assert not same_vector({"L": [{"N": "10"}]}, {"L": [{"N": "11"}]}, 1)
    assert not same_vector({"B": b"\0\0\0\0"}, {"L": [{"N": "0"}]}, 1)
