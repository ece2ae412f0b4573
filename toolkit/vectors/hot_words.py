"""Write the most frequent words of a vector file as the hot words of a package (inference/hot_words.py)."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from inference.hot_words import SOURCE, VECTORS, WORDS
from inference.item_format import encode_vector
from toolkit.vectors.file import VectorFile, VectorFileError

# Of vectors: 50,000 words of 50 dimensions in float32. A package with ONNX Runtime and these still uploads directly;
# twice as many are too large for that, and save little more (bench/results/hot_words.md).
BYTES = 10_000_000
LONGEST = 32  # bytes; each word takes as many as the longest, and longer ones are rare
DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


def default_count(dim: int, format: str) -> int:
    """Return how many words of `dim` numbers take BYTES."""
    return BYTES // (dim * DTYPES[format].itemsize)


def choose(
    file: VectorFile, count: int, format: str, wanted: Collection[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` words of `file`, of the `wanted` ones if there are such, with their vectors.

    Words are bytes (n,), vectors (n, dim) what a table holds that the file was uploaded to in `format`: of a word that
    is there twice the first. Both are in the order of the words' bytes. Raises VectorFileError at a bad line.
    """
    vectors: dict[bytes, bytes] = {}
    for record in file.records():
        if len(vectors) == count:
            break
        if len(record.word) > LONGEST or record.word in vectors or record.word.endswith(b"\0"):
            continue
        word = file.word(record)
        if wanted is None or word in wanted:
            try:
                vectors[record.word] = encode_vector(file.vector(record), format)["B"]
            except ValueError as error:
                raise file.bad(record, str(error)) from None
    if not vectors:
        raise VectorFileError(f"{file.path}: has none of the words to pack")
    words = sorted(vectors)
    size = DTYPES[format].itemsize * file.dim  # float16 has a byte behind the numbers
    numbers = np.frombuffer(b"".join(vectors[word][:size] for word in words), DTYPES[format])
    return np.array(words), numbers.reshape(len(words), file.dim)


def write(folder: Path, words: np.ndarray, vectors: np.ndarray, source: Path) -> None:
    """Write hot words to a new `folder`; `source` is the vector file that they are of."""
    folder.mkdir()
    np.save(folder / WORDS, words)
    np.save(folder / VECTORS, vectors)
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (folder / SOURCE).write_text(json.dumps({"file": source.name, "digest": digest[:12]}) + "\n", "utf-8")
