"""The items of a word vector table: a vector to a DynamoDB attribute value and back.

Key `word` (S), attribute `vector`, one of

- float32: one binary value, little-endian, what the uploader writes by default;
- float16: one binary value, little-endian, with a zero byte behind it. An odd length means float16:
  without it, 100 dimensions in float16 would be read as 50 in float32, with other values;
- list: a list of numbers, the format of the published tables.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

FORMATS = ("float32", "float16", "list")
KEY_BYTES = 2048  # longest partition key DynamoDB takes: no longer word can be in a table
BATCH_KEYS = 100  # most keys that BatchGetItem takes


class BadItemError(ValueError):
    """An item whose vector can't be used; the message names its word."""


def can_be_key(word: str) -> bool:
    """Return whether DynamoDB takes `word` as a partition key."""
    try:
        return 0 < len(word.encode()) <= KEY_BYTES
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and UTF-8 can't
        return False


def key(word: str) -> dict[str, Any]:
    """Return the key of a word's item."""
    return {"word": {"S": word}}


def item(word: str, attribute: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a word, with its vector as `encode_vector` gives it."""
    return {**key(word), "vector": attribute}


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
    """Return the float32 vector (length,) of a DynamoDB attribute value in any of FORMATS.

    Raises ValueError when it has another length, or a value that is not a finite number.
    """
    if "B" in attribute:
        data = bytes(attribute["B"])
        if len(data) == 4 * length:
            vector = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
        elif len(data) == 2 * length + 1:
            vector = np.frombuffer(data, "<f2", length).astype(np.float32)
        else:
            hint = "; float16 needs a zero byte behind it" if len(data) == 2 * length else ""
            expected = f"{4 * length} (float32) or {2 * length + 1} (float16)"
            raise ValueError(f"{len(data)} bytes, not the {expected} of {length} dimensions{hint}")
    elif "L" in attribute:
        try:
            vector = np.array([value["N"] for value in attribute["L"]], np.float64).astype(np.float32)
        except (KeyError, TypeError, ValueError):
            raise ValueError("a list with something other than numbers in it") from None
        if len(vector) != length:
            raise ValueError(f"{len(vector)} dimensions, not {length}")
    else:
        raise ValueError(f"neither binary nor a list but {'/'.join(attribute) or 'empty'}")
    if not np.isfinite(vector).all():
        raise ValueError("a value that is not a finite number")
    return vector


def decode_items(items: Sequence[dict[str, Any]], length: int) -> dict[str, np.ndarray]:
    """Return the words of DynamoDB items with their float32 vectors (length,).

    Raises BadItemError, naming the word, where `decode_vector` raises ValueError.
    """
    vectors = {}
    for item in items:
        word = item["word"]["S"]
        try:
            vectors[word] = decode_vector(item.get("vector", {}), length)
        except ValueError as error:
            raise BadItemError(f"word {word!r}: {error}") from None
    return vectors
