"""The one reader of word vector files: word2vec text and binary, GloVe text, each gzipped or not, as a stream.

Nothing of the file is kept: memory does not grow with its size. Kinds are told by content, not by name.

- word2vec text: a header `words dim`, then one line a word: the word, a space, `dim` numbers;
- GloVe text: the same without a header; a word may hold spaces (GloVe 840B has some);
- word2vec binary: the header, then the word, a space, `dim` little-endian float32, and maybe a newline.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from inference.word_vectors import KEY_BYTES

SAMPLE_BYTES = 1 << 20  # what is looked at to tell a file's kind
CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20  # a longer "line" is no vector: the file is of another kind
MAX_DIM = 50_000  # a header that says more is no header; such a vector would not fit a DynamoDB item

_HEADER = re.compile(rb"(\d{1,12}) (\d{1,6})[ \t\r]*\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


class VectorFileError(Exception):
    """A file that is no vector file, or ends too early; the message names it."""


class BadLineError(VectorFileError):
    """A line (in a binary file, a word) that holds no word and vector; the message names file and line."""


class Record(NamedTuple):
    """One word as it stands in the file: `number` is its line in a text file, in a binary file its index from 1,
    `start` and `end` its place in the file's (unpacked) bytes, `values` its numbers, not parsed yet.
    """

    number: int
    start: int
    end: int
    word: bytes
    values: bytes


class VectorFile:
    """A vector file whose kind is known: `dim`, whether `binary`, and `count`, words by its header if it has one."""

    def __init__(self, path: Path):
        """Look at the beginning of `path`; raise VectorFileError when it is no vector file, OSError unread."""
        self.path = path
        with self.open() as stream:
            sample = _read(path, stream, SAMPLE_BYTES)
        if not sample:
            raise VectorFileError(f"{path}: empty; expected word vectors")
        whole = len(sample) < SAMPLE_BYTES
        header = _HEADER.match(sample)
        self.count: int | None = None
        self.start = 0  # bytes before the first word
        if header and 0 < int(header[2]) <= MAX_DIM:
            self.count, self.dim, self.start = int(header[1]), int(header[2]), header.end()
        body = sample[self.start :]
        self.binary = self.count is not None and not _is_text(body, whole)
        if self.binary:
            self._check_binary(body, whole)
        else:
            self._check_text(body, whole)

    def open(self) -> IO[bytes]:
        """Open the file for its unpacked bytes."""
        stream = self.path.open("rb")
        if stream.peek(2)[:2] == b"\x1f\x8b":
            return gzip.GzipFile(fileobj=stream)  # closed with the last reference to it
        return stream

    def records(self) -> Iterator[Record]:
        """Yield every word of the file, unparsed."""
        with self.open() as stream:
            _read(self.path, stream, self.start)
            yield from (self._binary_records if self.binary else self._text_records)(stream)

    def parse(self, record: Record) -> tuple[str, np.ndarray]:
        """Return the word and float32 vector (dim,) of a record; raise BadLineError if it does not hold them."""
        return self.word(record), self.vector(record)

    def word(self, record: Record) -> str:
        """Return the word of a record; raise BadLineError if it is none, or can't be a key in DynamoDB."""
        if not record.word.strip():
            raise self.bad(record, "an empty word")
        if len(record.word) > KEY_BYTES:
            raise self.bad(
                record, f"a word of {len(record.word)} bytes, over the {KEY_BYTES} of a DynamoDB key"
            )
        try:
            return record.word.decode()
        except UnicodeDecodeError:
            raise self.bad(record, f"the word {record.word[:40]!r} is not UTF-8") from None

    def vector(self, record: Record) -> np.ndarray:
        """Return the float32 vector (dim,) of a record; raise BadLineError if it is none."""
        if self.binary:
            vector = np.frombuffer(record.values, "<f4").astype(np.float32, copy=False)
        else:
            try:
                vector = np.fromstring(record.values, np.float32, sep=" ")
            except ValueError:
                raise self.bad(record, _not_a_number(record.values)) from None
        if len(vector) != self.dim:
            raise self.bad(record, f"{len(vector)} values, not {self.dim}")
        if not np.isfinite(vector).all():
            raise self.bad(record, "a value that is NaN, infinite or out of the range of float32")
        return vector

    def bad(self, record: Record, reason: str) -> BadLineError:
        """Return the error of a record, naming file and line."""
        return BadLineError(f"{self.path}, {'word' if self.binary else 'line'} {record.number}: {reason}")

    def _text_records(self, stream: IO[bytes]) -> Iterator[Record]:
        dim, end = self.dim, self.start
        lines = iter(lambda: _readline(self.path, stream), b"")
        for number, line in enumerate(lines, 1 if self.count is None else 2):
            start, end = end, end + len(line)
            text = line.rstrip(b" \t\r\n")
            if text.count(b" ") == dim:
                word, _, values = text.partition(b" ")
            else:
                word, values = _split_unusual(text, dim)
            yield Record(number, start, end, word, values)

    def _binary_records(self, stream: IO[bytes]) -> Iterator[Record]:
        size, start, number = 4 * self.dim, self.start, 0
        assert self.count is not None  # noqa: S101  (only a file with a header is binary)
        data, place = b"", 0
        while number < self.count:
            space = data.find(b" ", place)
            if space < 0 or space + 1 + size > len(data):
                more = _read(self.path, stream, CHUNK_BYTES + size)
                if not more:
                    raise VectorFileError(
                        f"{self.path}: ends within word {number + 1} of the {self.count} its header names;"
                        " is it cut short?"
                    )
                data, place = data[place:] + more, 0
                continue
            number += 1
            end = space + 1 + size
            word = data[place:space]
            yield Record(number, start, start + end - place, word.lstrip(b"\n"), data[space + 1 : end])
            start, place = start + end - place, end

    def _check_text(self, body: bytes, whole: bool) -> None:
        lines = body.split(b"\n")
        if not whole:
            lines.pop()
        if not _is_text(body, whole) or not lines:
            raise VectorFileError(
                f"{self.path}: neither word2vec nor GloVe vectors (not text, and no word2vec header)"
            )
        rows = [fields for line in lines[:1000] if len(fields := line.rstrip(b" \t\r").split(b" ")) > 1]
        if self.count is None:
            # A word may hold spaces: most do not.
            self.dim = Counter(len(fields) - 1 for fields in rows).most_common(1)[0][0] if rows else 0
        good = sum(len(fields) > self.dim and all(map(_is_number, fields[-self.dim :])) for fields in rows)
        if not self.dim or 2 * good < len(rows) or not rows and self.count:
            raise VectorFileError(
                f"{self.path}: not word vectors (expected lines of a word and its numbers, separated by spaces)"
            )

    def _check_binary(self, body: bytes, whole: bool) -> None:
        word, space, values = body.partition(b" ")
        values = values[: 4 * self.dim]
        try:
            fits = space and len(word) <= KEY_BYTES and word.decode() and len(values) == 4 * self.dim
        except UnicodeDecodeError:
            fits = False
        if self.count and (not fits or not np.isfinite(np.frombuffer(values, "<f4")).all()):
            raise VectorFileError(
                f"{self.path}: has a word2vec header, but neither text nor binary vectors after it"
            )


def read_vectors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each word of a vector file with its float32 vector (dim,), in the file's order.

    Raises VectorFileError when the file is of another kind, BadLineError at the first bad line.
    """
    file = VectorFile(path)
    for record in file.records():
        yield file.parse(record)


def _read(path: Path, stream: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, fewer at the end of the file."""
    try:
        return stream.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VectorFileError(f"{path}: broken gzip file, is it cut short? ({error})") from None


def _readline(path: Path, stream: IO[bytes]) -> bytes:
    try:
        line = stream.readline(MAX_LINE_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VectorFileError(f"{path}: broken gzip file, is it cut short? ({error})") from None
    return line


def _is_text(data: bytes, whole: bool) -> bool:
    """Tell whether `data`, the beginning of a file or all of it, is UTF-8 without control characters."""
    if _CONTROL.search(data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return not whole and error.start >= len(data) - 3 and error.reason == "unexpected end of data"
    return True


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _split_unusual(text: bytes, dim: int) -> tuple[bytes, bytes]:
    """Split a line that is not one word and `dim` fields: its word has spaces, or it is a bad line."""
    fields = text.rsplit(b" ", dim)
    word = fields[0]
    if len(fields) <= dim or _is_number(
        word.rpartition(b" ")[2]
    ):  # too few or too many: leave them to the parser
        word, _, values = text.partition(b" ")
        return word, values
    return word, text[len(word) + 1 :]


def _not_a_number(values: bytes) -> str:
    field = next((field for field in values.split() if not _is_number(field)), values)
    return f"{field[:40].decode(errors='replace')!r} is not a number"
