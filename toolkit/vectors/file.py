"""Read word vector files as a stream: word2vec text and binary, and GloVe text, compressed or not.

Memory does not grow with the file. The content decides which kind a file is, not its name:

- word2vec text: a header `words dimensions`, then one line a word: the word, a space, its numbers;
- GloVe text: the same without a header; a word may hold spaces (GloVe 840B has some);
- word2vec binary: the header, then the word, a space, little-endian float32 numbers, and maybe a newline.

Text is what has lines of a word and numbers. A bad line among them does not make it another kind.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from inference.item_format import KEY_BYTES
from toolkit.cli import CommandError
from toolkit.compression import is_compressed, open_decompressed

SAMPLE_BYTES = 1 << 20  # of the beginning, which decide the kind
SAMPLE_LINES = 1000
CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20  # a longer line is cut, and is a bad line
MAX_DIM = 50_000  # a header with more is no header; such a vector would not fit into a DynamoDB item

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"[ \t]*(\d{1,12})[ \t]+(\d{1,6})[ \t\r]*\n")
CONVERT = "python utils/word2vec_bin_to_txt.py {path} vectors.txt"
FASTTEXT = b"\xba\x16\x4f\x2f"
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
# What a file begins with that is known not to be a vector file, and what to do with it.
OTHER_KINDS: list[tuple[tuple[bytes, ...], str]] = [
    ((b"PK\x03\x04",), "a zip archive; unzip it first: unzip {path}"),
    ((FASTTEXT,), f"a fastText model; convert it first: {CONVERT}"),
    (
        PICKLES,
        f"a Python pickle, as gensim's save() writes; if you trust its source, convert it first: {CONVERT} --unpickle",
    ),
    (
        (b"\x93NUMPY",),
        "the numbers of a gensim model, without its words; convert the file beside it (this name without .vectors.npy):"
        " python utils/word2vec_bin_to_txt.py FILE vectors.txt --unpickle",
    ),
]


class VectorFileError(CommandError):
    """A file that is no vector file, or is damaged or cut short; the message names it."""


class BadLineError(VectorFileError):
    """A line (in a binary file, a word) that holds no word and vector; the message names file and line."""


class Record(NamedTuple):
    """One word and its numbers, not parsed yet."""

    number: int  # line of a text file, word of a binary file, from 1
    end: int  # offset behind it in the decompressed file, in bytes
    raw: bytes  # everything from the record before up to `end`
    word: bytes
    values: bytes


class VectorFile:
    """A vector file: its dimensions `dim`, whether it is `binary`, and `count`, the words its header promises."""

    def __init__(self, path: Path):
        """Look at the beginning of `path`; raise VectorFileError when it is no vector file."""
        self.path = path
        with open_decompressed(path) as stream:
            sample = stream.read(SAMPLE_BYTES)
        if not sample:
            raise VectorFileError(f"{path}: empty; expected word vectors")
        self._refuse_other_kinds(sample)
        self.start = len(BYTE_ORDER_MARK) if sample.startswith(BYTE_ORDER_MARK) else 0  # bytes before the first word
        self.count: int | None = None
        header = _HEADER.match(sample, self.start)
        if header and 0 < int(header[2]) <= MAX_DIM:
            self.count, self.dim, self.start = int(header[1]), int(header[2]), header.end()
        body = sample[self.start :]
        text_dim = _dimensions_of_text(body, whole=len(sample) < SAMPLE_BYTES)
        self.binary = self.count is not None and text_dim is None
        if self.count is None:
            if text_dim is None:
                raise VectorFileError(
                    f"{path}: not word vectors (expected a word, then numbers, on each line, with spaces between)"
                )
            if text_dim == 1:
                raise VectorFileError(f"{path}: one number a word: word counts, not vectors")
            self.dim = text_dim
        elif text_dim is not None and text_dim != self.dim:
            raise VectorFileError(
                f"{path}: its header says {self.dim} dimensions, but its lines have {text_dim}; correct the header"
            )
        elif self.binary and self.count and not self._begins_as_binary(body):
            raise VectorFileError(f"{path}: has a word2vec header, but neither text nor binary vectors after it")

    def _refuse_other_kinds(self, sample: bytes) -> None:
        if is_compressed(sample):
            raise VectorFileError(f"{self.path}: compressed twice; decompress it once first")
        for beginnings, kind in OTHER_KINDS:
            if sample.startswith(beginnings):
                raise VectorFileError(f"{self.path}: {kind.format(path=self.path)}")

    def _begins_as_binary(self, body: bytes) -> bool:
        word, _, values = body.partition(b" ")
        values = values[: 4 * self.dim]
        return bool(word) and len(word) <= KEY_BYTES and b"\n" not in word and len(values) == 4 * self.dim

    def records(self) -> Iterator[Record]:
        """Yield every word of the file, unparsed. Raises VectorFileError where the file is cut short or damaged."""
        with open_decompressed(self.path) as stream:
            stream.read(self.start)
            yield from self._binary_records(stream) if self.binary else self._text_records(stream)

    def parse(self, record: Record) -> tuple[str, np.ndarray]:
        """Return the word and float32 vector (dim,) of a record; raise BadLineError if it has none."""
        return self.word(record), self.vector(record)

    def word(self, record: Record) -> str:
        """Return the word of a record; raise BadLineError if it is none, or can't be a key in DynamoDB."""
        if not record.word.strip():
            raise self.bad(record, "an empty word")
        if len(record.word) > KEY_BYTES:
            raise self.bad(record, f"a word of {len(record.word)} bytes, over the {KEY_BYTES} of a DynamoDB key")
        if b"\t" in record.word:
            raise self.bad(record, f"a tab in the word {record.word[:40]!r}; expected spaces between word and numbers")
        try:
            return record.word.decode()
        except UnicodeDecodeError:
            raise self.bad(record, f"the word {record.word[:40]!r} is not UTF-8") from None

    def vector(self, record: Record) -> np.ndarray:
        """Return the float32 vector (dim,) of a record; raise BadLineError if it is none."""
        try:
            vector = np.frombuffer(record.values, "<f4") if self.binary else parse_numbers(record.values)
        except ValueError as error:
            raise self.bad(record, str(error)) from None
        if len(vector) != self.dim:
            raise self.bad(record, f"{len(vector)} values, not {self.dim}")
        if not np.isfinite(vector).all():
            raise self.bad(record, "a value that is NaN, infinite or out of the range of float32")
        return vector.astype(np.float32, copy=False)

    def bad(self, record: Record, reason: str) -> BadLineError:
        """Return the error of a record, naming file and line."""
        return BadLineError(f"{self.path}, {'word' if self.binary else 'line'} {record.number}: {reason}")

    def _text_records(self, stream: IO[bytes]) -> Iterator[Record]:
        number, end, words = (1 if self.count is None else 2), self.start, 0
        blank: list[Record] = []  # lines: bad ones, except at the end of the file
        while line := stream.readline(MAX_LINE_BYTES):
            end += len(line)
            record = Record(number, end, line, *_split(line.rstrip(b" \t\r\n"), self.dim))
            number += 1
            if not line.strip():
                blank.append(record)
                continue
            yield from blank
            yield record
            words += len(blank) + 1
            blank.clear()
        if self.count is not None and words != self.count:
            hint = "is it cut short?" if words < self.count else "correct the header"
            raise VectorFileError(f"{self.path}: has {words} words, but its header says {self.count}; {hint}")

    def _binary_records(self, stream: IO[bytes]) -> Iterator[Record]:
        size, end, number, data = 4 * self.dim, self.start, 0, b""
        place = 0  # of the next record in `data`
        while number < (self.count or 0):
            space = data.find(b" ", place)
            if space < 0 and len(data) - place > CHUNK_BYTES:
                raise self._damaged(number + 1, "no space behind the word")
            if space < 0 or space + 1 + size > len(data):
                more = stream.read(CHUNK_BYTES + size)
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
            word = raw[: -size - 1].removeprefix(b"\n")  # the newline that some writers put behind each vector
            if b"\n" in word:
                raise self._damaged(number, f"a line end in the word {word[:40]!r}")
            yield Record(number, end, raw, word, raw[-size:])
        left = (data[place:] + stream.read(CHUNK_BYTES)).removeprefix(b"\n")
        if left:
            raise VectorFileError(
                f"{self.path}: goes on behind the last of the {self.count} words of its header; correct the header"
            )

    def _damaged(self, number: int, reason: str) -> VectorFileError:
        return VectorFileError(f"{self.path}, word {number}: {reason}; damaged, or not word2vec binary")


def read_vectors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each word of a vector file with its float32 vector (dim,), in the file's order.

    Raises VectorFileError when the file is of another kind, BadLineError at the first bad line.
    """
    file = VectorFile(path)
    for record in file.records():
        yield file.parse(record)


def load_vectors(path: Path, words: Iterable[str], length: int | None = None) -> dict[str, np.ndarray]:
    """Return the float32 vectors that the file at `path` has of `words`.

    Raises VectorFileError when they do not have the `length` that a model wants, or when there are none. The numbers of
    other words are not looked at, which takes a tenth of the time.
    """
    wanted = set(words)
    file = VectorFile(path)
    if length is not None and file.dim != length:
        raise VectorFileError(f"{path}: {file.dim}-dimensional vectors, but the model was trained on {length}")
    vectors: dict[str, np.ndarray] = {}
    for record in file.records():
        word = file.word(record)
        if word in wanted and word not in vectors:
            vectors[word] = file.vector(record)
    if not vectors:
        raise VectorFileError(f"{path}: has none of the words of the data")
    return vectors


def parse_numbers(text: bytes) -> np.ndarray:
    """Return the numbers in `text`, separated by spaces, as float32 (n,); raise ValueError at something else."""
    fields = text.split()
    try:
        with np.errstate(over="ignore"):
            return np.array(fields, np.float32)
    except ValueError:
        wrong = next((field for field in fields if not _is_number(field)), text)
        raise ValueError(f"{wrong[:40].decode(errors='replace')!r} is not a number") from None


def _split(line: bytes, dim: int) -> tuple[bytes, bytes]:
    """Split a line into its word and its numbers, which are not parsed yet."""
    if line.count(b" ") > dim:
        word = line.rsplit(b" ", dim)[0]
        # The word holds spaces, unless a number stands there: then the line has too many, for the parser to refuse.
        if not _is_number(word.rpartition(b" ")[2]):
            return word, line[len(word) + 1 :]
    word, _, values = line.partition(b" ")
    return word, values


def _dimensions_of_text(body: bytes, whole: bool) -> int | None:
    """Return the dimensions of most lines at the beginning of text, None when most are no words with numbers."""
    lines = body.split(b"\n", SAMPLE_LINES)
    if len(lines) > SAMPLE_LINES or not whole:
        lines.pop()
    rows = [fields for line in lines if len(fields := line.rstrip(b" \t\r").split(b" ")) > 1]
    if not rows:
        return None
    # A word may hold spaces, and then its line has more fields: most do not.
    dim = Counter(len(fields) - 1 for fields in rows).most_common(1)[0][0]
    good = sum(len(fields) > dim and b"\t" not in fields[0] and all(map(_is_number, fields[-dim:])) for fields in rows)
    return dim if 2 * good >= len(rows) else None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
