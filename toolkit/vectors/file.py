"""The one reader of word vector files, as a stream: word2vec text and binary, GloVe text, gzipped or not.

Nothing of the file is kept: memory does not grow with its size. Kinds are told by content, not by name.

- word2vec text: a header `words dim`, then one line a word: the word, a space, `dim` numbers;
- GloVe text: the same without a header; a word may hold spaces (GloVe 840B has some);
- word2vec binary: the header, then the word, a space, `dim` little-endian float32, and maybe a newline.
"""

import functools
import gzip
import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import orjson

from inference.item_format import KEY_BYTES
from toolkit.cli import CommandError

SAMPLE_BYTES = 1 << 20  # what is looked at to tell a file's kind
CHUNK_BYTES = 1 << 20
LINES_BYTES = 1 << 18  # of text that is split into lines at once, and stays in the processor's cache
MAX_LINE_BYTES = 1 << 20  # a longer "line" is no vector: the file is of another kind
MAX_DIM = 50_000  # a header that says more is no header; such a vector would not fit a DynamoDB item

Stream = IO[bytes] | gzip.GzipFile

_HEADER = re.compile(rb"(\d{1,12}) (\d{1,6})[ \t\r]*\n")
# Spaces become commas; what no number holds becomes what no JSON holds.
_IN_NUMBERS = b"0123456789.eE+-\r\n"
_AS_JSON = bytes({ord(" "): ord(",")}.get(byte, byte if byte in _IN_NUMBERS else ord("?")) for byte in range(256))
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


class VectorFileError(CommandError):
    """A file that is no vector file, or ends too early; the message names it."""


class BadLineError(VectorFileError):
    """A line (in a binary file, a word) that holds no word and vector; the message names file and line."""


class Record(NamedTuple):
    """One word as it stands in the file, its numbers not parsed yet."""

    number: int  # line of a text file, word of a binary file, from 1
    end: int  # place in the unpacked file, in bytes
    raw: bytes  # everything from the record before up to `end`
    word: bytes
    values: bytes


class VectorFile:
    """A vector file of a known kind: `dim`, whether `binary`, and `count`, the words its header names."""

    def __init__(self, path: Path):
        """Look at the beginning of `path`; raise VectorFileError when it is no vector file."""
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

    def open(self) -> Stream:
        """Open the file for its unpacked bytes."""
        with self.path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        return gzip.open(self.path) if packed else self.path.open("rb", buffering=CHUNK_BYTES)

    def records(self) -> Iterator[Record]:
        """Yield every word of the file, unparsed."""
        with self.open() as stream:
            _read(self.path, stream, self.start)
            yield from (self._binary_records if self.binary else self._text_records)(stream)

    def parse(self, record: Record) -> tuple[str, np.ndarray]:
        """Return the word and float32 vector (dim,) of a record; raise BadLineError if it has none."""
        return self.word(record), self.vector(record)

    def word(self, record: Record) -> str:
        """Return the word of a record; raise BadLineError if it is none, or can't be a key in DynamoDB."""
        if not record.word.strip():
            raise self.bad(record, "an empty word")
        if len(record.word) > KEY_BYTES:
            raise self.bad(record, f"a word of {len(record.word)} bytes, over the {KEY_BYTES} of a DynamoDB key")
        try:
            return record.word.decode()
        except UnicodeDecodeError:
            raise self.bad(record, f"the word {record.word[:40]!r} is not UTF-8") from None

    def vector(self, record: Record) -> np.ndarray:
        """Return the float32 vector (dim,) of a record; raise BadLineError if it is none."""
        try:
            if self.binary:
                vector = finite(np.frombuffer(record.values, "<f4").astype(np.float32, copy=False))
            else:
                vector = parse_numbers(record.values)
        except ValueError as error:
            raise self.bad(record, str(error)) from None
        if len(vector) != self.dim:
            raise self.bad(record, f"{len(vector)} values, not {self.dim}")
        return vector

    def bad(self, record: Record, reason: str) -> BadLineError:
        """Return the error of a record, naming file and line."""
        return BadLineError(f"{self.path}, {'word' if self.binary else 'line'} {record.number}: {reason}")

    def _text_records(self, stream: Stream) -> Iterator[Record]:
        dim, end = self.dim, self.start
        number = first = 1 if self.count is None else 2
        for line, spaces in _lines(self.path, stream):
            end += len(line)
            if spaces == dim:
                word, _, values = line.partition(b" ")
            else:
                word, values = _split_unusual(line.rstrip(b" \t\r\n"), dim)
            yield Record(number, end, line, word, values)
            number += 1
        words = number - first
        if self.count is not None and words != self.count:
            mend = "is it cut short?" if words < self.count else "correct the header"
            raise VectorFileError(f"{self.path}: has {words} words, but its header says {self.count}; {mend}")

    def _binary_records(self, stream: Stream) -> Iterator[Record]:
        size, end, number = 4 * self.dim, self.start, 0
        data, place = b"", 0
        while number < (self.count or 0):
            space = data.find(b" ", place)
            if space < 0 or space + 1 + size > len(data):
                more = _read(self.path, stream, CHUNK_BYTES + size)
                if not more:
                    raise VectorFileError(
                        f"{self.path}: ends within word {number + 1} of the {self.count} of its header;"
                        " is it cut short?"
                    )
                data, place = data[place:] + more, 0
                continue
            number += 1
            raw = data[place : space + 1 + size]
            place += len(raw)
            end += len(raw)
            yield Record(number, end, raw, raw[: -size - 1].lstrip(b"\n"), raw[-size:])

    def _check_text(self, body: bytes, whole: bool) -> None:
        lines = body.split(b"\n")
        if not whole:
            lines.pop()
        if not _is_text(body, whole) or not lines:
            raise VectorFileError(f"{self.path}: neither word2vec nor GloVe vectors (not text, and no word2vec header)")
        rows = [fields for line in lines[:1000] if len(fields := line.rstrip(b" \t\r").split(b" ")) > 1]
        if self.count is None:
            # A word may hold spaces: most do not.
            self.dim = Counter(len(fields) - 1 for fields in rows).most_common(1)[0][0] if rows else 0
        good = sum(len(fields) > self.dim and all(map(_is_number, fields[-self.dim :])) for fields in rows)
        if not self.dim or 2 * good < len(rows) or (self.count and not rows):
            raise VectorFileError(
                f"{self.path}: not word vectors (expected a word, then numbers, on each line, with spaces between)"
            )

    def _check_binary(self, body: bytes, whole: bool) -> None:
        word, space, values = body.partition(b" ")
        values = values[: 4 * self.dim]
        try:
            fits = space and len(word) <= KEY_BYTES and word.decode() and len(values) == 4 * self.dim
        except UnicodeDecodeError:
            fits = False
        if self.count and (not fits or not np.isfinite(np.frombuffer(values, "<f4")).all()):
            raise VectorFileError(f"{self.path}: has a word2vec header, but neither text nor binary vectors after it")


def read_vectors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each word of a vector file with its float32 vector (dim,), in the file's order.

    Raises VectorFileError when the file is of another kind, BadLineError at the first bad line.
    """
    file = VectorFile(path)
    for record in file.records():
        yield file.parse(record)


def parse_numbers(text: bytes) -> np.ndarray:
    """Return the numbers in `text`, separated by spaces, as float32 (n,).

    Raises ValueError at something else, and at a number that is not finite in float32. Numbers as JSON spells
    them, which is nearly all, are read as JSON: in half of numpy's time.
    """
    try:
        numbers = orjson.loads(b"[" + text.translate(_AS_JSON) + b"]")
        packed = _float32(len(numbers)).pack(*numbers)
    except (orjson.JSONDecodeError, OverflowError):
        pass  # for numpy to read, or to refuse
    else:
        vector = np.frombuffer(packed, "<f4")
        if np.count_nonzero(vector) == len(vector):  # a zero may have lost its sign: JSON's -0 is a whole number
            return vector
    try:
        with np.errstate(over="ignore"):
            vector = np.fromstring(text, np.float32, sep=" ")
    except ValueError:
        raise ValueError(_not_a_number(text)) from None
    return finite(vector)


@functools.cache
def _float32(numbers: int) -> struct.Struct:
    return struct.Struct(f"<{numbers}f")


def finite(vector: np.ndarray) -> np.ndarray:
    """Return `vector`; raise ValueError when it has a value that is no finite number."""
    if not np.isfinite(vector).all():
        raise ValueError("a value that is NaN, infinite or out of the range of float32")
    return vector


def load_vectors(path: Path, words: Iterable[str], length: int | None = None) -> dict[str, np.ndarray]:
    """Return the float32 vectors that the file at `path` has of `words`.

    Raises VectorFileError when they do not have the `length` that a model wants, or when there are none.
    """
    wanted = set(words)
    vectors: dict[str, np.ndarray] = {}
    for word, vector in read_vectors(path):
        if length is not None and len(vector) != length:
            raise VectorFileError(f"{path}: vectors of {len(vector)} numbers, but the model was trained on {length}")
        if word in wanted:
            vectors.setdefault(word, vector)
    if not vectors:
        raise VectorFileError(f"{path}: has none of the words of the data")
    return vectors


def _read(path: Path, stream: Stream, size: int) -> bytes:
    """Read `size` bytes, fewer at the end of the file."""
    try:
        return stream.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VectorFileError(f"{path}: broken gzip file, is it cut short? ({error})") from None


def _lines(path: Path, stream: Stream) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of the file, cut at about MAX_LINE_BYTES, and the number of spaces in each.

    A piece at a time: numpy counts the spaces of all its lines in a quarter of the time of `bytes.count`.
    """
    rest = b""
    while piece := _read(path, stream, LINES_BYTES):
        piece = rest + piece
        whole = piece.rfind(b"\n") + 1
        if not whole and len(piece) > MAX_LINE_BYTES:
            whole = len(piece)
        rest = piece[whole:]
        if whole:
            yield from _count_spaces(piece[:whole])
    if rest:
        yield from _count_spaces(rest)


def _count_spaces(text: bytes) -> Iterator[tuple[bytes, int]]:
    lines = io.BytesIO(text).readlines()
    starts = np.cumsum([0, *map(len, lines[:-1])])
    spaces = (np.frombuffer(text, np.uint8) == ord(" ")).view(np.uint8)
    # 65,536 too many would go unseen, but a line that long is a bad one either way; wider sums take twice the time.
    return zip(lines, np.add.reduceat(spaces, starts, dtype=np.uint16).tolist(), strict=True)


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
    if len(fields) <= dim or _is_number(word.rpartition(b" ")[2]):  # too few or too many: leave them to the parser
        word, _, values = text.partition(b" ")
        return word, values
    return word, text[len(word) + 1 :]


def _not_a_number(values: bytes) -> str:
    field = next((field for field in values.split() if not _is_number(field)), values)
    return f"{field[:40].decode(errors='replace')!r} is not a number"
