"""Which words of a vector file are written: good lines, the words asked for, the first of duplicates."""

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from inference.item_format import encode_vector
from toolkit.vectors.file import BadLineError, Record, VectorFile

BAD_LINES_SHOWN = 20


class Place(NamedTuple):
    """A place between two words of a file, and what tells whether the file was the same up to there."""

    offset: int  # bytes of the unpacked file
    checksum: int  # CRC-32 of the words up to there


class Selection:
    """The words of a vector file to be written. Memory grows by 8 bytes a word in it, and with `wanted`."""

    def __init__(
        self, file: VectorFile, format: str, wanted: Iterable[str] | None = None, skip_bad_lines: bool = False
    ):
        """Take the words of `file`, of those only `wanted`; bad lines raise BadLineError or are skipped."""
        self.file, self.format, self.skip_bad_lines = file, format, skip_bad_lines
        self.wanted = None if wanted is None else {word.encode(): None for word in wanted}
        self.words = 0  # distinct, among them those already written, as far as they can be told without parsing
        self.words_before = 0
        self.end = file.start  # of the file
        self._repeated: frozenset[int] = frozenset()
        self._start()

    def _start(self) -> None:
        self.missing = dict(self.wanted or {})  # the words asked for that no good line had, yet
        self.bad_lines = self.duplicates = 0
        self._offset, self._checksum = self.file.start, 0

    def survey(self, quiet: bool = False) -> None:
        """Read the file's words once, to count them and find those that are there twice.

        Raises VectorFileError when the file is cut short.
        """
        hashes = array("q")
        records = tqdm(
            self.file.records(), "reading", self.file.count, unit=" words", disable=quiet or None, leave=False
        )
        for record in records:
            if self.wanted is None or record.word in self.wanted:
                hashes.append(hash(record.word))
            self.end = record.end
        ordered = np.frombuffer(hashes, np.int64) if hashes else np.empty(0, np.int64)
        ordered.sort()
        same_as_next = ordered[1:] == ordered[:-1]
        self.words = len(ordered) - int(same_as_next.sum())
        self._repeated = frozenset(ordered[1:][same_as_next].tolist())

    def reaches(self, place: Place) -> bool:
        """Tell whether the file is what it was up to `place`, and count its words up to there in `words_before`."""
        end, checksum, words = self.file.start, 0, 0
        seen: set[bytes] = set()  # only of words that may be there twice
        for record in self.file.records():
            end, checksum, word = record.end, zlib.crc32(record.raw, checksum), record.word
            if word not in seen and (self.wanted is None or word in self.wanted):
                words += 1
                if hash(word) in self._repeated:
                    seen.add(word)
            if end >= place.offset:
                break
        same = Place(end, checksum) == place
        self.words_before = words if same else 0
        return same

    def place(self) -> Place:
        """Return the place behind what `items` gave last; at an error, before the bad line."""
        return Place(self._offset, self._checksum)

    def items(self, after: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each word with its DynamoDB attribute, in the file's order, those behind offset `after`."""
        self._start()
        seen: set[bytes] = set()  # only of words that may be there twice
        for record in self.file.records():
            item = self._item(record, seen, written=record.end <= after)
            self._checksum = zlib.crc32(record.raw, self._checksum)
            self._offset = record.end
            if item:
                yield item

    def _item(self, record: Record, seen: set[bytes], written: bool) -> tuple[str, dict[str, Any]] | None:
        key = record.word
        if self.wanted is not None and key not in self.wanted:
            return None
        repeated = hash(key) in self._repeated
        if repeated and key in seen:
            self.duplicates += 1
            return None
        item = None
        if not written or self.skip_bad_lines:  # without it, what was written had no bad lines
            try:
                item = self._parse(record)
            except BadLineError as error:
                if not self.skip_bad_lines:
                    raise
                self.bad_lines += 1
                if self.bad_lines <= BAD_LINES_SHOWN:
                    more = "; further ones are only counted" if self.bad_lines == BAD_LINES_SHOWN else ""
                    tqdm.write(f"{error}; skipped{more}", sys.stderr)
                return None
        if repeated:
            seen.add(key)
        self.missing.pop(key, None)
        return None if written else item

    def _parse(self, record: Record) -> tuple[str, dict[str, Any]]:
        word, vector = self.file.parse(record)
        try:
            return word, encode_vector(vector, self.format)
        except ValueError as error:
            raise self.file.bad(record, str(error)) from None
