"""Write a file atomically: it is there whole, or the file before it stays, however the writing ends."""

import contextlib
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` to write bytes to; it is renamed to `path` when the block ends without error.

    It keeps the permissions of the file before; a new file has those that the umask leaves. An OSError names `path`,
    not the temporary file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _naming(path):
        file = temporary.open("xb")
    try:
        with file:
            yield file
        with _naming(path):
            if path.exists():
                temporary.chmod(stat.S_IMODE(path.stat().st_mode))
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an OSError name `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
