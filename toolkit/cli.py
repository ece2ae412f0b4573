"""What the scripts share: one line for an error, whole files or none, progress for eyes only."""

import argparse
import contextlib
import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from inference.model_file import ModelFileError
from inference.settings import SettingsError
from toolkit.atomic_write import atomic_write


class CommandError(Exception):
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
    except OSError as error:
        print(f"{name}: {error.filename}: {error.strerror}" if error.filename else f"{name}: {error}", file=sys.stderr)
        code = 1
    except (CommandError, ModelFileError, SettingsError, BotoCoreError, ClientError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        code = 1
    sys.exit(code)


def output_file(name: str) -> Path:
    """Return the path of a file to be written, for argparse: refused before any work if its folder is not there."""
    path = Path(name)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def log(line: str) -> None:
    """Tell the user at once what happens."""
    print(line, file=sys.stderr, flush=True)


def read_lines(name: str | Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, gzipped or not, without their ends; of stdin when `name` is `-`.

    Raises CommandError, naming file and line, for what is not UTF-8 and for a broken gzip file.
    """
    number = 0
    try:
        with contextlib.ExitStack() as stack:
            if str(name) == "-":
                name, lines = "stdin", sys.stdin.buffer
            else:
                lines = stack.enter_context(Path(name).open("rb"))
                if lines.peek(2)[:2] == b"\x1f\x8b":
                    lines = stack.enter_context(gzip.GzipFile(fileobj=lines))
            for number, line in enumerate(lines, 1):  # noqa: B007
                yield line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}, line {number}: not UTF-8 ({error.reason})") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CommandError(f"{name}: broken gzip file, is it cut short? ({error})") from None


def read_wordlist(path: Path) -> list[str]:
    """Return the distinct words of a file with one a line, in its order; raise CommandError when there are none."""
    words = list(dict.fromkeys(line for line in read_lines(path) if line))
    if not words:
        raise CommandError(f"{path}: no words in it; expected one a line")
    return words


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
    with atomic_write(path) as file:
        packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else file
        with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text:
            yield text
