"""Write the vocabulary of texts: every distinct word, one a line, sorted, split exactly as serving splits.

Example:
  python utils/generate_vocab.py train/a.toks train/b.toks.gz vocabulary.txt
  cat questions.txt | python utils/generate_vocab.py - vocabulary.txt

An OUTPUT that exists is overwritten only if it has one word a line, as a vocabulary has: a text whose name was given
last by mistake stays.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from inference.tokenizer import tokenize
from toolkit import cli
from toolkit.cli import CommandError


def vocabulary(lines: Iterable[str]) -> list[str]:
    """Return the distinct words of `lines`, sorted by code point."""
    return sorted({word for line in lines for word in tokenize(line)})


def check_output(name: str) -> None:
    """Raise CommandError when the file to write exists and is no vocabulary."""
    if name == "-" or not Path(name).is_file():
        return
    try:
        other = any(len(line.split()) > 1 for line in cli.read_lines(name))
    except CommandError:  # not even text
        other = True
    if other:
        raise CommandError(f"{name} exists and is no vocabulary (one word a line); name the file to write last")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("input", nargs="+", metavar="INPUT", help="text, compressed or not; - for stdin")
    parser.add_argument("output", metavar="OUTPUT", help="vocabulary to write; - for stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    if arguments.output != "-" and arguments.output in arguments.input:
        parser.error(f"{arguments.output} is both read and written; name another file to write")
    check_output(arguments.output)
    lines = (line for name in arguments.input for line in cli.read_lines(name))
    words = vocabulary(tqdm(lines, "reading", unit=" lines", disable=arguments.quiet or None))
    with cli.open_output(arguments.output) as output:
        output.writelines(f"{word}\n" for word in words)
    print(f"{len(words):,} words", file=sys.stderr)
    return 0


if __name__ == "__main__":
    cli.run(main)
