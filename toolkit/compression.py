"""Compressed files: read by their content, written by their name; gzip, bzip2 and xz."""

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

READ_AHEAD = 1 << 20  # bytes

OPEN: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
SUFFIXES = (".gz", ".bz2", ".xz")


class DamagedFileError(Exception):
    """A compressed file that is damaged or cut short; the message names it."""


def is_compressed(beginning: bytes) -> bool:
    """Return whether a file that begins with these bytes is compressed."""
    return beginning.startswith(tuple(OPEN))


@contextlib.contextmanager
def open_decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for its bytes, decompressed if it is compressed. Raises DamagedFileError where reading fails."""
    with io.BufferedReader(io.FileIO(path), READ_AHEAD) as file:
        beginning = file.peek(6)
        opener = next((opener for magic, opener in OPEN.items() if beginning.startswith(magic)), None)
        try:
            if opener is None:
                yield file
            else:
                with opener(file, "rb") as stream:
                    yield stream
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk; bz2 and gzip raise it without
                raise
            raise DamagedFileError(f"{path}: damaged compressed file, is it cut short? ({error})") from None


def compress(file: IO[bytes], suffix: str) -> IO[bytes]:
    """Return a stream that writes to `file`, compressed as `suffix` says: the same bytes for the same content."""
    if suffix == ".gz":
        return gzip.GzipFile("", "wb", fileobj=file, mtime=0)  # type: ignore[return-value]
    if suffix == ".bz2":
        return bz2.BZ2File(file, "wb")
    if suffix == ".xz":
        return lzma.LZMAFile(file, "wb")
    return file
