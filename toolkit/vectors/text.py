"""Write word vectors as word2vec text: a header `words dimensions`, then a word and its numbers a line."""

from collections.abc import Iterable
from typing import IO

import numpy as np


def write_text(output: IO[str], count: int, dim: int, words: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write `count` words with their float32 vectors (dim,)."""
    output.write(f"{count} {dim}\n")
    output.writelines(f"{word} {to_text(vector)}\n" for word, vector in words)


def to_text(vector: np.ndarray) -> str:
    """Return the numbers of a float32 vector (dim,), separated by spaces, as short as they read back the same."""
    return " ".join(vector.astype(str).tolist())
