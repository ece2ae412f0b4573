"""What the scripts share: one line for an error, whole files or none, progress for eyes only."""

import contextlib
import gzip
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from utils.vector_file import VectorFileError


class ScriptError(Exception):
    """What stops a script; the message says what to do."""


def run(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main` and exit: 1 with one line on stderr for a failure, 130 for Ctrl-C."""
    name = Path(sys.argv[0]).name
    try:
        code = main()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # as in `script | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (ScriptError, VectorFileError, OSError, EOFError, ValueError, BotoCoreError, ClientError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        code = 1
    sys.exit(code)


def read_wordlist(path: Path) -> set[str]:
    """Return the words of a file with one a line."""
    return {word for line in path.read_text(encoding="utf-8").split("\n") if (word := line.strip("\r"))}


@contextlib.contextmanager
def open_output(name: str | Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file for writing, gzipped if named .gz, `-` for stdout.

    It stands under its name whole or not at all, and is the same bytes for the same text.
    """
    if str(name) == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(name)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        try:
            packed = gzip.GzipFile("", "wb", fileobj=temporary, mtime=0) if path.suffix == ".gz" else temporary
            with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text:
                yield text
            temporary.close()  # GzipFile leaves it open
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(path)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise
