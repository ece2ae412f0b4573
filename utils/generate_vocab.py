"""Token files in, vocabulary out: every distinct word, one a line, sorted, split exactly as serving splits.

Example:
  python utils/generate_vocab.py train/a.toks train/b.toks.gz vocab.txt
  cat questions.txt | python utils/generate_vocab.py - vocab.txt
"""

import argparse
import sys
from collections.abc import Iterable

from inference.tokenizer import tokenize
from toolkit.cli import open_output, read_lines, run


def vocabulary(lines: Iterable[str]) -> list[str]:
    """Return the distinct words of `lines`, sorted by code point."""
    return sorted({word for line in lines for word in tokenize(line)})


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", nargs="+", help="text or token file, plain or .gz; - for stdin")
    parser.add_argument("output", help="vocabulary file to write; - for stdout")
    arguments = parser.parse_args(argv)
    if arguments.output != "-" and arguments.output in arguments.input:
        parser.error(f"{arguments.output} is both read and written; name another file to write")
    words = vocabulary(line for name in arguments.input for line in read_lines(name))
    with open_output(arguments.output) as output:
        output.writelines(f"{word}\n" for word in words)
    print(f"{len(words):,} words", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(main)
