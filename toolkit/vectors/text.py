"""Write word vectors as word2vec text: a header `words dimensions`, then a word and its numbers a line."""

from collections.abc import Iterable
from typing import IO

import numpy as np


def write_text(output: IO[str], count: int, dim: int, lines: Iterable[str]) -> None:
    """Write the header, then the `lines` of `count` words, each as `to_line` makes it."""
    output.write(f"{count} {dim}\n")
    output.writelines(lines)


def to_line(word: str, vector: np.ndarray) -> str:
    """Return the line of a word with its float32 vector (dim,)."""
    return f"{word} {to_text(vector)}\n"


def to_text(vector: np.ndarray) -> str:
    """Return the numbers of a float32 vector (dim,), separated by spaces, as short as they read back the same."""
    return " ".join(vector.astype(str).tolist())
