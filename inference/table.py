"""Reads of the word vector table: in parallel batches, retried until a deadline.

Brings boto3 along, so that a request whose words are all at hand is answered without this module.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inference import dynamodb
from inference.dynamodb import CONNECTION_ERRORS, PARALLEL_READS, RefusedError, UnavailableError
from inference.item_format import BATCH_KEYS, BadItemError, decode_items, key
from inference.word_vectors import Reading, VectorsError, VectorsUnavailableError


class Table:
    """A table of word vectors. Safe to share between threads."""

    def __init__(self, connect: Callable[[], Any], name: str, length: int):
        """Read table `name`, whose vectors have `length` numbers.

        `connect` makes a DynamoDB client; it is called again when the client's credentials have run out.
        """
        self.name, self.length = name, length
        self._connect = connect
        self._client = connect()
        self._pool = _pool()

    def reconnect(self) -> None:
        """Replace the client, with its connections and credentials, by a new one."""
        self._client = self._connect()

    def read(self, words: Sequence[str], deadline: float, reading: Reading) -> dict[str, np.ndarray | None]:
        """Return the float32 vector (length,) of each of the distinct `words`, None for one that is not there.

        `deadline` is in seconds of `time.monotonic()`; `reading` gets what was done. Raises VectorsUnavailableError
        when words could not be read until then, VectorsError for an unusable item and for an error that no retry
        changes.
        """
        batches = [words[start : start + BATCH_KEYS] for start in range(0, len(words), BATCH_KEYS)]
        found: dict[str, np.ndarray | None] = {}
        reading.calls = len(batches)
        what = f"table {self.name}, {len(words)} words to read"
        try:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise UnavailableError("no time left to read them")
            # In threads even when there is one batch: an answer that trickles in stays within any socket's timeout.
            for vectors in self._pool.map(
                lambda batch: self._read_batch(batch, deadline, reading), batches, timeout=patience
            ):
                found.update(vectors)
        except TimeoutError:
            self._pool = _pool()  # the threads of the other may be stuck for long
            raise VectorsUnavailableError(f"{what}: no answer in time") from None
        except UnavailableError as error:
            raise VectorsUnavailableError(f"{what}: {error}") from error.__cause__
        except (RefusedError, BadItemError) as error:
            raise VectorsError(f"{what}: {error}") from error.__cause__
        return found

    def _read_batch(self, batch: Sequence[str], deadline: float, reading: Reading) -> dict[str, np.ndarray | None]:
        """Read up to BATCH_KEYS words, in as many tries as it takes until the deadline."""
        vectors: dict[str, np.ndarray | None] = dict.fromkeys(batch)

        def call(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
            client = self._client
            reading.tries.append(None)
            try:
                answer = client.batch_get_item(RequestItems={self.name: {"Keys": keys}})
            except CONNECTION_ERRORS:
                client.close()  # its idle connections, which may be as dead
                raise
            items = answer.get("Responses", {}).get(self.name)
            vectors.update(decode_items(items or [], self.length))
            unprocessed: list[dict[str, Any]] = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            # An answer without the table is a broken one: its words are not unknown.
            return unprocessed or ([] if items is not None else keys)

        keys = [key(word) for word in batch]
        dynamodb.complete(call, keys, deadline, on_stale_credentials=self.reconnect)
        return vectors


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="batch-get")
