"""What DynamoDB costs, and what word vectors take of its units."""

from typing import Any

import numpy as np

# us-east-1, on demand, in force since 2024-11-01: https://aws.amazon.com/dynamodb/pricing/on-demand/
PRICES_OF = "us-east-1, on demand, since 2024-11-01"
DOLLARS_PER_WRITE_UNIT = 0.625e-6
DOLLARS_PER_READ_UNIT = 0.125e-6
DOLLARS_PER_GB_IMPORTED = 0.15  # of uncompressed source data
DOLLARS_PER_GB_MONTH = 0.25  # beyond the first 25 GB of an account, which are free

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024
STORAGE_OVERHEAD = 100  # bytes an item takes in storage beyond its size
MAX_ITEM_BYTES = 400 * 1024

# Item sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
NAME_BYTES = len("word") + len("vector")


def item_size(word: bytes, attribute: dict[str, Any]) -> int:
    """Return the bytes DynamoDB counts for an item of the table: exact if binary, close for a list."""
    if "B" in attribute:
        return NAME_BYTES + len(word) + len(attribute["B"])
    return NAME_BYTES + len(word) + 3 + sum(1 + _number_size(value["N"]) for value in attribute["L"])


def largest_item(word_bytes: int, dim: int, format: str) -> int:
    """Return the most bytes an item with a word of `word_bytes` and `dim` dimensions can take."""
    if format == "list":  # 9 significant digits distinguish every float32
        return NAME_BYTES + word_bytes + 3 + dim * (1 + 1 + 5)
    return NAME_BYTES + word_bytes + dim * np.dtype(format).itemsize


def write_units(size: int) -> int:
    """Return the write units of one item of `size` bytes, alone or in a batch."""
    return -(-size // WRITE_UNIT_BYTES)


def read_units(size: int) -> float:
    """Return the read units of one item of `size` bytes, in a batch or alone, when it may be a second old."""
    return max(1, -(-size // READ_UNIT_BYTES)) / 2


def _number_size(text: str) -> int:
    """Return the bytes of a number: one for every two significant digits, and one."""
    digits = text.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1
