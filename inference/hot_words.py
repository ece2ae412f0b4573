"""The vectors of the most frequent words, in the package: the same as in the table, opened without parsing them.

A folder of three files: `words.npy`, the words' UTF-8 in the order of its bytes; `vectors.npy`, their vectors as the
table holds them, float32 or float16; `source.json`, the vector file that they are of. The operating system reads those
parts of them that requests touch.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from inference.item_format import can_be_key

FOLDER = "hot_words"  # beside the handler
WORDS, VECTORS, SOURCE = "words.npy", "vectors.npy", "source.json"


class HotWords:
    """Words that travel in the package, with their vectors. Safe to share between threads."""

    def __init__(self, words: np.ndarray, vectors: np.ndarray, source: dict[str, str]):
        """Hold `words` (n,), sorted bytes, with their `vectors` (n, length); `source` has `file` and `digest`."""
        self._words, self._vectors, self.source = words, vectors, source

    @classmethod
    def open(cls, folder: Path) -> "HotWords | None":
        """Open the hot words in `folder`; return None where there are none."""
        if not folder.is_dir():
            return None
        # asarray: rows of a numpy.memmap take three times as long to make
        words, vectors = (np.asarray(np.load(folder / name, mmap_mode="r")) for name in (WORDS, VECTORS))
        return cls(words, vectors, json.loads((folder / SOURCE).read_text()))

    @property
    def length(self) -> int:
        """The numbers of a vector."""
        return int(self._vectors.shape[1])

    def find(self, words: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the float32 vector (length,) of each of `words` that is hot."""
        longest = self._words.itemsize
        # numpy takes zero bytes at a word's end for padding
        keys = {word: word.encode() for word in words if can_be_key(word) and not word.endswith("\0")}
        keys = {word: key for word, key in keys.items() if len(key) <= longest}
        if not keys:
            return {}
        wanted = np.array(list(keys.values()), self._words.dtype)
        rows = self._words.searchsorted(wanted).clip(max=len(self._words) - 1)
        hot = self._words[rows] == wanted
        return {
            word: self._vectors[row].astype(np.float32)
            for word, row, is_hot in zip(keys, rows.tolist(), hot.tolist(), strict=True)
            if is_hot
        }

    def sample(self, size: int) -> list[str]:
        """Return up to `size` of the words, from all over the order of their bytes."""
        rows = np.unique(np.linspace(0, len(self._words) - 1, size, dtype=np.int64))
        return [word.decode() for word in self._words[rows].tolist()]
