"""Vector files of any size for the benchmarks: random numbers, spelled as GloVe's are."""

from pathlib import Path

import numpy as np

DISTINCT = 1000  # vectors, used in turn: what is measured does not look at them


def write_glove(path: Path, words: int, dim: int) -> None:
    """Write `words` lines of a word and a vector of `dim` dimensions to `path`, GloVe text."""
    numbers = np.random.default_rng(0).normal(scale=0.4, size=(DISTINCT, dim))
    values = [" ".join(f"{value:.5f}" for value in row) for row in numbers.tolist()]
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"word{number} {values[number % DISTINCT]}\n" for number in range(words))
