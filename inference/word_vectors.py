"""Word vectors of one table: batched, retried and cached reads, and the arrays a model takes."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from inference import dynamodb
from inference.dynamodb import CONNECTION_ERRORS, PARALLEL_READS, RefusedError, UnavailableError
from inference.item_format import BATCH_KEYS, BadItemError, can_be_key, decode_items, key

DEFAULT_PATIENCE = 10.0  # seconds of retrying when the caller sets no deadline
GROUP = 25  # sentences a forward pass


class VectorsError(Exception):
    """Words could not be read, so nothing is known about them; the message names table, words and cause."""


class VectorsUnavailableError(VectorsError):
    """Throttled, cut off or not answered until the deadline; a later request may succeed."""


class CachedWord(NamedTuple):
    """What the table had for a word, until it is read again."""

    vector: np.ndarray | None  # None: not in the table
    expires: float  # seconds of `time.time()`, which goes on while Lambda freezes the process


@dataclass
class Reading:
    """What a lookup did, for the log: words found in the cache, batches read, and tries that these took."""

    cached: int = 0
    calls: int = 0
    tries: list[None] = field(default_factory=list)  # one each: threads can append, but not count


class WordVectors:
    """Word vectors of one table, read through a least-recently-used cache. Safe to share between threads."""

    def __init__(
        self,
        connect: Callable[[], Any],
        table: str,
        length: int,
        cache_size: int,
        known_seconds: float = 3600.0,
        unknown_seconds: float = 60.0,
    ):
        """Read `table`, whose vectors have `length` numbers; cache up to `cache_size` words.

        A word is read again after `known_seconds`, or `unknown_seconds` if the table did not have it. `connect` makes
        a DynamoDB client; it is called again when the client's credentials have run out.
        """
        self.table, self.length, self.cache_size = table, length, cache_size
        self.known_seconds, self.unknown_seconds = known_seconds, unknown_seconds
        self._connect = connect
        self._client = connect()
        self._cache: OrderedDict[str, CachedWord] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = _pool()

    def reconnect(self) -> None:
        """Replace the client, with its connections and credentials, by a new one."""
        self._client = self._connect()

    def lookup(
        self, words: Iterable[str], deadline: float | None = None, reading: Reading | None = None
    ) -> dict[str, np.ndarray | None]:
        """Return each distinct word's float32 vector (length,), None for a word the table does not have.

        `deadline` is in seconds of `time.monotonic()`; `reading` gets what was done. Raises VectorsUnavailableError
        when words could not be read until then, VectorsError for an unusable item and for an error that no retry
        changes.
        """
        deadline = time.monotonic() + DEFAULT_PATIENCE if deadline is None else deadline
        now = time.time()
        found: dict[str, np.ndarray | None] = dict.fromkeys(words)  # keeps their order
        missing = []
        with self._lock:
            for word in found:
                cached = self._cache.get(word)
                if cached and cached.expires > now:
                    self._cache.move_to_end(word)
                    found[word] = cached.vector
                elif can_be_key(word):
                    missing.append(word)
        reading = reading or Reading()
        reading.cached = len(found) - len(missing)
        if missing:
            found.update(self._read_all(missing, deadline, reading))
        if missing and self.cache_size:
            with self._lock:
                for word in missing:
                    lifetime = self.unknown_seconds if found[word] is None else self.known_seconds
                    self._cache[word] = CachedWord(found[word], now + lifetime)
                    self._cache.move_to_end(word)
                while len(self._cache) > self.cache_size:
                    self._cache.popitem(last=False)
        return found

    def read(self, word: str, deadline: float) -> np.ndarray | None:
        """Return what the table has for a word now, past the cache; errors as for `lookup`."""
        return self._read_all([word], deadline, Reading())[word]

    def _read_all(self, words: list[str], deadline: float, reading: Reading) -> dict[str, np.ndarray | None]:
        """Read distinct words from the table in parallel batches, until the deadline at most."""
        batches = [words[start : start + BATCH_KEYS] for start in range(0, len(words), BATCH_KEYS)]
        found: dict[str, np.ndarray | None] = {}
        reading.calls = len(batches)
        what = f"table {self.table}, {len(words)} words to read"
        try:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise UnavailableError("no time left to read them")
            # In threads even when there is one batch: an answer that trickles in stays within any socket's timeout.
            for vectors in self._pool.map(
                lambda batch: self._read(batch, deadline, reading), batches, timeout=patience
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

    def _read(self, batch: list[str], deadline: float, reading: Reading) -> dict[str, np.ndarray | None]:
        """Read up to BATCH_KEYS words from the table, in as many tries as it takes until the deadline."""
        vectors: dict[str, np.ndarray | None] = dict.fromkeys(batch)

        def call(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
            client = self._client
            reading.tries.append(None)
            try:
                answer = client.batch_get_item(RequestItems={self.table: {"Keys": keys}})
            except CONNECTION_ERRORS:
                client.close()  # its idle connections, which may be as dead
                raise
            items = answer.get("Responses", {}).get(self.table)
            vectors.update(decode_items(items or [], self.length))
            unprocessed: list[dict[str, Any]] = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
            # An answer without the table is a broken one: its words are not unknown.
            return unprocessed or ([] if items is not None else keys)

        keys = [key(word) for word in batch]
        dynamodb.complete(call, keys, deadline, on_stale_credentials=self.reconnect)
        return vectors


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="batch-get")


def embed(
    sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None], length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sentences of words as arrays: float32 (sentences, time, length), zero past each end, and int64
    (sentences,), their lengths in words. A word that `vectors` has no vector for is the zero vector.
    """
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    embedded = np.zeros((len(sentences), int(lengths.max(initial=0)), length), np.float32)
    for row, sentence in zip(embedded, sentences, strict=True):
        for place, word in enumerate(sentence):
            if (vector := vectors.get(word)) is not None:
                row[place] = vector
    return embedded, lengths


def by_length(sentences: Sequence[Sequence[str]], size: int = GROUP) -> list[np.ndarray]:
    """Return the rows of all sentences as groups of up to `size` of like length, each int64.

    Embedded group by group, a long sentence pads those of like length and not a hundred short ones.
    """
    order = np.argsort([len(sentence) for sentence in sentences], kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]
