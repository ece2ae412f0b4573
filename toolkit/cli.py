"""What every command shares: its parser, errors as one line, text files in and out."""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from inference.model_file import ModelFileError
from inference.settings import SettingsError
from toolkit import ctrl_c
from toolkit.atomic_write import atomic_write
from toolkit.compression import DamagedFileError, compress, open_decompressed

CONFIGURE = "run `aws configure`, or set AWS_PROFILE"
WHAT_TO_DO = {  # about errors of AWS that every command may meet
    NoCredentialsError: f"{CONFIGURE}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    NoRegionError: f"{CONFIGURE}, or AWS_DEFAULT_REGION",
}


class CommandError(Exception):
    """Stops a command with exit code 1; the message says what to do."""


def program() -> str:
    """Return what the user typed to run this command: `NAME.py`, or `python -m PACKAGE.NAME`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # only `python -m` sets it
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose --help shows a module's docstring as it is, with its examples."""
    return argparse.ArgumentParser(program(), None, description, formatter_class=argparse.RawDescriptionHelpFormatter)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command's `main` and exit: 1 with one line on stderr for a failure, 130 for Ctrl-C."""
    name = program()
    ctrl_c.raise_again()
    try:
        code = main()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # as in `command | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        print(f"{name}: {error.filename}: {error.strerror}" if error.filename else f"{name}: {error}", file=sys.stderr)
        code = 1
    except (CommandError, DamagedFileError, ModelFileError, SettingsError, BotoCoreError, ClientError) as error:
        said = " ".join(str(error).split())
        if advice := WHAT_TO_DO.get(type(error)):
            said = f"{said.rstrip('.')}: {advice}"
        print(f"{name}: {said}", file=sys.stderr)
        code = 1
    sys.exit(code)


def output_file(name: str) -> Path:
    """Return the path of a file to write, for argparse: refused before any work if its folder is not there."""
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


def name_and_value(text: str) -> tuple[str, str]:
    """Return the two parts of `NAME=VALUE`, for argparse."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def add_pairs(options: argparse._ActionsContainer, name: str, what: str) -> None:
    """Add an option that takes NAME=VALUE and may be repeated; `what` they are is its help."""
    options.add_argument(name, type=name_and_value, action="append", default=[], metavar="NAME=VALUE", help=what)


def agreed(question: str) -> bool:
    """Return whether the user says yes; raise CommandError where there is no terminal to ask on."""
    if not sys.stdin.isatty():
        raise CommandError("it asks first; without a terminal, say --yes")
    log(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def log(line: str) -> None:
    """Print a line to stderr at once."""
    print(line, file=sys.stderr, flush=True)


def open_lines(name: str | Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 text file, compressed or not, with their ends; of stdin when `name` is `-`.

    Raises CommandError, naming file and line, for what is not UTF-8; DamagedFileError for a damaged compressed file.
    """
    with contextlib.ExitStack() as stack:
        if str(name) == "-":
            name, lines = "stdin", sys.stdin.buffer
        else:
            lines = stack.enter_context(open_decompressed(Path(name)))
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise CommandError(f"{name}, line {number}: not UTF-8 ({error.reason})") from None


def read_lines(name: str | Path) -> Iterator[str]:
    """Yield what `open_lines` does without the line ends."""
    return (line.rstrip("\r\n") for line in open_lines(name))


def read_wordlist(path: Path) -> list[str]:
    """Return the distinct words of a file with one a line, in its order, without white space at their ends.

    Raises CommandError when there are none.
    """
    words = list(dict.fromkeys(word for line in read_lines(path) if (word := line.strip())))
    if not words:
        raise CommandError(f"{path}: no words in it; expected one a line")
    return words


@contextlib.contextmanager
def open_output(name: str | Path) -> Iterator[IO[str]]:
    """Open a UTF-8 text file to write atomically, compressed if named .gz, .bz2 or .xz; `-` is stdout."""
    if str(name) == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(name)
    with (
        atomic_write(path) as file,
        compress(file, path.suffix) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text,
    ):
        yield text
