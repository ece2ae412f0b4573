"""Choose the words of a vector file that are written: those wanted, on good lines, the first of duplicates."""

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from inference.item_format import encode_vector
from toolkit.vectors.file import BadLineError, Record, VectorFile
from toolkit.vectors.progress import ResumePoint

BAD_LINES_SHOWN = 20

Item = tuple[str, dict[str, Any]]  # a word and its vector as a DynamoDB attribute


class Selection:
    """The words of a vector file to write. Memory grows by 8 bytes for each of them, and with `wanted`."""

    def __init__(
        self, file: VectorFile, format: str, wanted: Iterable[str] | None = None, skip_bad_lines: bool = False
    ):
        """Select the `wanted` words (None: all) of `file`; bad lines raise BadLineError or are skipped."""
        self.file, self.format, self.skip_bad_lines = file, format, skip_bad_lines
        self.wanted = None if wanted is None else {word.encode(): None for word in wanted}
        self.words = 0  # distinct ones, those on bad lines included
        self.end = file.start
        self._repeated: frozenset[int] = frozenset()  # hashes of the words that may be there twice
        self._restart()

    def _restart(self) -> None:
        self.missing = dict(self.wanted or {})  # the wanted words that no good line had, yet
        self.bad_lines = self.duplicates = 0
        self.point = ResumePoint(self.file.start, 0)  # behind what `items` gave last; at an error, before the bad line
        self._seen: set[bytes] = set()  # of the words that may be there twice

    def survey(self, quiet: bool = False) -> None:
        """Read the file's words once, to count them and to find those that are there twice.

        Raises VectorFileError when the file is damaged or cut short.
        """
        hashes = array("q")
        for record in tqdm(
            self.file.records(), "reading", self.file.count, unit=" words", disable=quiet or None, leave=False
        ):
            if self._wants(record):
                hashes.append(hash(record.word))
            self.end = record.end
        ordered = np.sort(np.frombuffer(hashes, np.int64))
        same_as_next = ordered[1:] == ordered[:-1]
        self.words = len(ordered) - int(same_as_next.sum())
        self._repeated = frozenset(ordered[1:][same_as_next].tolist())

    def at(self, offset: int) -> tuple[ResumePoint, int]:
        """Return the point at `offset` of the file, or at the end of the word there, and the words before it."""
        point, words = ResumePoint(self.file.start, 0), 0
        seen: set[bytes] = set()  # of the words that may be there twice
        for record in self.file.records():
            if point.offset >= offset:
                break
            point = ResumePoint(record.end, zlib.crc32(record.raw, point.checksum))
            if self._wants(record) and record.word not in seen:
                words += 1
                if self._is_repeated(record):
                    seen.add(record.word)
        return point, words

    def items(self, after: int = 0) -> Iterator[Item]:
        """Yield each word with its DynamoDB attribute, in the file's order, those behind offset `after`."""
        self._restart()
        for record in self.file.records():
            item = self._take(record, written=record.end <= after)
            self.point = ResumePoint(record.end, zlib.crc32(record.raw, self.point.checksum))
            if item:
                yield item

    def _wants(self, record: Record) -> bool:
        return self.wanted is None or record.word in self.wanted

    def _is_repeated(self, record: Record) -> bool:
        return hash(record.word) in self._repeated

    def _take(self, record: Record, written: bool) -> Item | None:
        """Return the item of a record, None if it is left out or `written` already; count what is left out."""
        if not self._wants(record):
            return None
        if record.word in self._seen:
            self.duplicates += 1
            return None
        item = None
        if not written or self.skip_bad_lines:  # without it, what was written had no bad lines
            try:
                item = self._parse(record)
            except BadLineError as error:
                if not self.skip_bad_lines:
                    raise
                self._skip(error)
                return None
        if self._is_repeated(record):
            self._seen.add(record.word)
        self.missing.pop(record.word, None)
        return None if written else item

    def _skip(self, error: BadLineError) -> None:
        self.bad_lines += 1
        if self.bad_lines <= BAD_LINES_SHOWN:
            more = "; further ones are only counted" if self.bad_lines == BAD_LINES_SHOWN else ""
            tqdm.write(f"{error}; skipped{more}", sys.stderr)

    def _parse(self, record: Record) -> Item:
        word, vector = self.file.parse(record)
        try:
            return word, encode_vector(vector, self.format)
        except ValueError as error:
            raise self.file.bad(record, str(error)) from None
