"""The word vector table: how an item is written, and batched, retried and cached reads.

Key `word` (S), attribute `vector`, one of

- float32: one binary value, little-endian, what the uploader writes by default;
- float16: one binary value, little-endian, and a zero byte after it. The odd length tells it from float32: by
  half the length alone, 100 numbers in float16 would pass for 50 in float32, and be other numbers. Without the
  byte, as other programs write it, it is read where the model's dim and its numbers leave no doubt;
- list: a list of numbers, the format of tables made before the binary ones.
"""

import binascii
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ChecksumError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from inference.dynamodb import PARALLEL_CALLS, dynamodb_client

FORMATS = ("float32", "float16", "list")
LARGEST_PLAIN_HALF = 64.0  # far more than a number of a word vector
KEY_BYTES = 2048  # longest partition key DynamoDB takes: no longer word can be in a table
BATCH_KEYS = 100  # most keys BatchGetItem takes
BACKOFF_BASE, BACKOFF_CAP = 0.05, 1.0  # seconds
DEFAULT_PATIENCE = 10.0  # seconds of retrying when the caller sets no deadline

# What another try can mend. The rest (no table, no permission, …) is raised as it comes.
TRANSIENT_ERRORS = frozenset(
    "InternalServerError ItemCollectionSizeLimitExceededException LimitExceededException "
    "ProvisionedThroughputExceededException RequestLimitExceeded RequestTimeout RequestTimeoutException "
    "ServiceUnavailable SlowDown ThrottledException Throttling ThrottlingException TooManyRequestsException".split()
)
# Not reached, cut off, or answered with something other than DynamoDB's JSON.
CONNECTION_ERRORS = (HTTPClientError, NoConnectionError, ChecksumError, ResponseParserError, binascii.Error)
# Mended by a client that reads its credentials anew, or by signing again once the clock is right.
STALE_CREDENTIALS = frozenset(
    "ExpiredToken ExpiredTokenException InvalidClientTokenId InvalidSignatureException RequestExpired "
    "UnrecognizedClientException".split()
)


class VectorsError(Exception):
    """Words could not be read, so nothing is known about them; the message names table, words and cause."""


class VectorsUnavailableError(VectorsError):
    """Throttled, cut off or not answered until the deadline; another request may fare better."""


class VectorsRefusedError(VectorsError):
    """What no other try can mend: no table, no permission, no credentials."""


class BrokenVectorError(VectorsError):
    """An item whose vector can't be used; the message names its word, too."""


def encode_vector(vector: np.ndarray, format: str = "float32") -> dict[str, Any]:
    """Return `vector` (length,), finite float32 numbers, as a DynamoDB attribute value in one of FORMATS.

    Raises ValueError when float16 can't hold a value.
    """
    if format == "list":
        return {"L": [{"N": str(value)} for value in vector.astype(np.float32)]}
    if format == "float32":
        return {"B": vector.astype("<f4", copy=False).tobytes()}
    with np.errstate(over="ignore"):
        half = vector.astype("<f2")
    if not np.isfinite(half).all():
        raise ValueError(f"a value is out of the range of {format}")
    return {"B": half.tobytes() + b"\0"}


def decode_vector(attribute: dict[str, Any], length: int) -> np.ndarray:
    """Return the float32 vector (length,) of a DynamoDB attribute value, whichever of FORMATS it is in.

    Raises ValueError when it holds another number of values, or one that is not a finite number.
    """
    if "B" in attribute:
        data = bytes(attribute["B"])
        if len(data) == 4 * length:
            vector = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
        elif len(data) == 2 * length + 1:
            vector = np.frombuffer(data, "<f2", length).astype(np.float32)
        elif len(data) == 2 * length and _is_plain_half(vector := np.frombuffer(data, "<f2").astype(np.float32)):
            pass
        else:
            raise ValueError(f"{len(data)} bytes, not the {4 * length} or {2 * length + 1} of {length} numbers")
    elif "L" in attribute:
        try:
            vector = np.array([value["N"] for value in attribute["L"]], np.float64).astype(np.float32)
        except (KeyError, TypeError, ValueError):
            raise ValueError("a list with something other than numbers in it") from None
        if len(vector) != length:
            raise ValueError(f"{len(vector)} numbers, not {length}")
    else:
        raise ValueError(f"neither binary nor a list but {'/'.join(attribute) or 'empty'}")
    if not np.isfinite(vector).all():
        raise ValueError("a value that is not a finite number")
    return vector


def decode_items(items: Sequence[dict[str, Any]], length: int) -> dict[str, np.ndarray]:
    """Return the words of DynamoDB items with their float32 vectors (length,).

    Raises BrokenVectorError, naming the word, where `decode_vector` raises ValueError.
    """
    words = [item["word"]["S"] for item in items]
    attributes = [item.get("vector", {}) for item in items]
    data = [attribute.get("B", b"") for attribute in attributes]
    if all(len(each) == 4 * length for each in data):  # in a fifth of the time of one by one
        vectors = np.frombuffer(b"".join(data), "<f4").astype(np.float32, copy=False).reshape(-1, length)
        if np.isfinite(vectors).all():
            return {word: vector.copy() for word, vector in zip(words, vectors, strict=True)}  # not a hundred for one
    found = {}
    for word, attribute in zip(words, attributes, strict=True):
        try:
            found[word] = decode_vector(attribute, length)
        except ValueError as error:
            raise BrokenVectorError(f"word {word!r}: {error}") from None
    return found


def _is_plain_half(vector: np.ndarray) -> bool:
    """Tell whether numbers read from float16 without the byte behind it, as other programs write it, are a word vector.

    Half as many float32 numbers have the same length. Read as float16, the lower halves of those are noise, three in
    ten of them beyond any number of a word vector.
    """
    return bool((np.abs(vector) < LARGEST_PLAIN_HALF).all())


def embed(
    sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None], length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return sentences of words as arrays: float32 (sentences, time, length), zero past each end, and int64
    (sentences,), their lengths in words. A word that `vectors` has no vector for is the zero vector.
    """
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    time = int(lengths.max(initial=0))
    zero = np.zeros(length, np.float32)
    rows: list[Any] = []
    for sentence in sentences:
        rows += [zero if (vector := vectors.get(word)) is None else vector for word in sentence]
        rows += [zero] * (time - len(sentence))
    joined = bytearray().join(rows)  # in half the time of assigning row by row
    return np.frombuffer(joined, np.float32).reshape(len(sentences), time, length), lengths


def by_length(sentences: Sequence[Sequence[str]], size: int = 25) -> list[np.ndarray]:
    """Return the rows of all sentences as groups of up to `size` of like length, each int64.

    Embedded group by group, a long sentence pads its likes and not a hundred short ones.
    """
    order = np.argsort([len(sentence) for sentence in sentences], kind="stable")
    return [order[start : start + size] for start in range(0, len(order), size)]


def _can_be_a_key(word: str) -> bool:
    try:
        return 0 < len(word.encode()) <= KEY_BYTES
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and UTF-8 can't
        return False


class WordVectors:
    """Word vectors of one table, read through a least-recently-used cache. Safe to share between threads."""

    def __init__(self, client: Any, table: str, length: int, cache_size: int):
        """Read `table`, whose vectors have `length` numbers, remembering up to `cache_size` words."""
        self.client, self.table, self.length, self.cache_size = client, table, length, cache_size
        self._cache: OrderedDict[str, np.ndarray | None] = OrderedDict()  # None: not in the table
        self._lock = threading.Lock()
        self._pool = _pool()

    def lookup(self, words: Iterable[str], deadline: float | None = None) -> dict[str, np.ndarray | None]:
        """Return each distinct word's float32 vector (length,), None for a word the table does not have.

        `deadline` is in seconds of `time.monotonic()`. Raises VectorsUnavailableError when words could not
        be read until then, BrokenVectorError for an unusable item, VectorsRefusedError for what no retry can mend.
        """
        deadline = time.monotonic() + DEFAULT_PATIENCE if deadline is None else deadline
        found: dict[str, np.ndarray | None] = {}
        missing = []
        with self._lock:
            for word in dict.fromkeys(words):
                if word in self._cache:
                    self._cache.move_to_end(word)
                    found[word] = self._cache[word]
                elif _can_be_a_key(word):
                    missing.append(word)
                else:
                    found[word] = None
        if missing:
            found.update(self._read_all(missing, deadline))
        if missing and self.cache_size:
            with self._lock:
                self._cache.update((word, found[word]) for word in missing)
                while len(self._cache) > self.cache_size:
                    self._cache.popitem(last=False)
        return found

    def _read_all(self, words: list[str], deadline: float) -> dict[str, np.ndarray | None]:
        """Read distinct words from the table, in parallel batches; give up at the deadline, whatever they wait for."""
        batches = [words[start : start + BATCH_KEYS] for start in range(0, len(words), BATCH_KEYS)]
        found: dict[str, np.ndarray | None] = {}
        what = f"table {self.table}, {len(words)} words to read"
        try:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise VectorsUnavailableError("no time left to read them")
            # In threads even when there is one batch: an answer that trickles in stays within any socket's timeout.
            for vectors in self._pool.map(lambda batch: self._read(batch, deadline), batches, timeout=patience):
                found.update(vectors)
        except TimeoutError:
            self._pool = _pool()  # the threads of the other may be stuck for long
            raise VectorsUnavailableError(f"{what}: no answer in time") from None
        except VectorsError as error:
            raise type(error)(f"{what}: {error}") from error.__cause__
        return found

    def _read(self, batch: list[str], deadline: float) -> dict[str, np.ndarray | None]:
        """Read up to BATCH_KEYS words from the table, however many tries it takes until the deadline."""
        vectors: dict[str, np.ndarray | None] = dict.fromkeys(batch)
        keys = [{"word": {"S": word}} for word in batch]
        attempt, renewed = 0, False
        while True:
            client = self.client
            try:
                answer = client.batch_get_item(RequestItems={self.table: {"Keys": keys}})
            except ClientError as error:
                cause = error.response["Error"]["Code"]
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if cause in STALE_CREDENTIALS and not renewed:
                    renewed = True
                    self._renew(client)
                elif cause not in TRANSIENT_ERRORS and status != 429 and status < 500:
                    raise VectorsRefusedError(str(error)) from error
            except CONNECTION_ERRORS as error:
                cause = type(error).__name__
                client.close()  # its idle connections, which may be as dead
            except BotoCoreError as error:
                raise VectorsRefusedError(str(error)) from error
            else:
                items = answer.get("Responses", {}).get(self.table)
                vectors.update(decode_items(items or [], self.length))
                unprocessed = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
                if items is not None and not unprocessed:
                    return vectors
                cause = "unprocessed keys"
                if unprocessed:
                    keys = unprocessed
                else:
                    cause = "an answer without the table"  # a broken one: its words are not unknown
            # Full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015).
            attempt += 1
            pause = random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 10)))  # noqa: S311
            if time.monotonic() + pause >= deadline:
                raise VectorsUnavailableError(f"{len(keys)} of them unread after {attempt} tries, the last: {cause}")
            time.sleep(pause)

    def _renew(self, stale: Any) -> None:
        """Replace a client whose credentials have run out, unless another thread has."""
        with self._lock:
            if self.client is stale:
                self.client = dynamodb_client()


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PARALLEL_CALLS, thread_name_prefix="batch-get")
