"""What both evaluate.py share: the command line, and the note on sentences that were cut."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inference.gateway import MAX_WORDS


def parse(description: str, data: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments, once they fit together; exits with code 2 if they don't. `data` says what --data is."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=data)
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="text or binary, gzipped or not")
    parser.add_argument("--endpoint", metavar="URL", help="measure what is deployed here, not --model")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    if bool(options.endpoint) == bool(options.model) or bool(options.model) != bool(options.vectors):
        parser.error("give either --model and --vectors, or --endpoint")
    return options


def tell_of_cut_sentences(whole: object, cut: object) -> None:
    """Say on stderr that sentences were cut, if `cut` is not `whole`."""
    if cut != whole:
        print(f"note: sentences cut to {MAX_WORDS} words, the most that are served", file=sys.stderr)
