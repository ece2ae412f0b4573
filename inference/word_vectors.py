"""Word vectors: those in the package, those remembered, the rest from the table; and the arrays a model takes."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.hot_words import HotWords
from inference.item_format import can_be_key

if TYPE_CHECKING:
    from inference.table import Table

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
    """What a lookup did, for the log: words found in the package and in the cache, batches read, and tries of these."""

    hot: int = 0
    cached: int = 0
    calls: int = 0
    tries: list[None] = field(default_factory=list)  # one each: threads can append, but not count


class WordVectors:
    """Word vectors of one table, read through a least-recently-used cache. Safe to share between threads.

    Hot words are neither read nor cached. The client is made when the first word is to be read.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        table: str,
        length: int,
        cache_size: int,
        known_seconds: float = 3600.0,
        unknown_seconds: float = 60.0,
        hot: HotWords | None = None,
    ):
        """Read `table`, whose vectors have `length` numbers; cache up to `cache_size` words.

        A word is read again after `known_seconds`, or `unknown_seconds` if the table did not have it. `connect` makes
        a DynamoDB client; it is called again when the client's credentials have run out. Raises ValueError when the
        `hot` words have vectors of another length.
        """
        if hot and hot.length != length:
            raise ValueError(f"the hot words have {hot.length} numbers each, but the model takes {length}")
        self.table, self.length, self.cache_size = table, length, cache_size
        self.known_seconds, self.unknown_seconds = known_seconds, unknown_seconds
        self.hot = hot
        self._connect = connect
        self._opened: Table | None = None
        self._cache: OrderedDict[str, CachedWord] = OrderedDict()
        self._lock = threading.Lock()

    def reconnect(self) -> None:
        """Make the client, or replace it, with its connections and credentials, by a new one."""
        if self._opened:
            self._opened.reconnect()
        else:
            self._table()

    def _table(self) -> "Table":
        with self._lock:
            if not self._opened:
                from inference.table import Table  # here, as it imports boto3, which takes half of a cold start

                self._opened = Table(self._connect, self.table, self.length)
            return self._opened

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
        hot = self.hot.find(found) if self.hot else {}
        found.update(hot)
        missing = []
        with self._lock:
            for word in (word for word in found if word not in hot):
                cached = self._cache.get(word)
                if cached and cached.expires > now:
                    self._cache.move_to_end(word)
                    found[word] = cached.vector
                elif can_be_key(word):
                    missing.append(word)
        reading = reading or Reading()
        reading.hot, reading.cached = len(hot), len(found) - len(hot) - len(missing)
        if missing:
            if time.monotonic() >= deadline:  # to connect, the first time, takes some of it
                raise VectorsUnavailableError(f"table {self.table}, {len(missing)} words to read: no time left")
            found.update(self._table().read(missing, deadline, reading))
        if missing and self.cache_size:
            with self._lock:
                for word in missing:
                    lifetime = self.unknown_seconds if found[word] is None else self.known_seconds
                    self._cache[word] = CachedWord(found[word], now + lifetime)
                    self._cache.move_to_end(word)
                while len(self._cache) > self.cache_size:
                    self._cache.popitem(last=False)
        return found

    def read(self, words: Sequence[str], deadline: float) -> dict[str, np.ndarray | None]:
        """Return what the table has for distinct words now, past the package and the cache; errors as for `lookup`."""
        return self._table().read(words, deadline, Reading())


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
