"""Word vectors to word2vec text, which gensim reads: a header, then a word and its numbers a line.

Example:
  python utils/word2vec_bin_to_txt.py GoogleNews-vectors-negative300.bin.gz GoogleNews.txt.gz --limit 500000

Every number is written with the digits that give the same float32 back. Reads word2vec binary, and
word2vec or GloVe text, gzipped or not; writes gzip when OUT ends in .gz.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
from tqdm import tqdm

from toolkit.cli import open_output, positive, read_wordlist, run
from toolkit.vectors.file import Record, VectorFile


def to_text(vector: np.ndarray) -> str:
    """Return the numbers of a float32 vector (dim,), separated by spaces, as short as read back the same."""
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].replace(b",", b" ").decode()


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, metavar="IN")
    parser.add_argument("output", metavar="OUT", help="- for stdout")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N words")
    parser.add_argument("--wordlist", type=Path, metavar="FILE", help="only these words, one a line")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    file = VectorFile(arguments.input)
    wanted = set(read_wordlist(arguments.wordlist)) if arguments.wordlist else None

    def records() -> Iterator[Record]:
        kept = (record for record in file.records() if wanted is None or file.word(record) in wanted)
        return itertools.islice(kept, arguments.limit)

    if wanted is None and file.count is not None:
        count = min(file.count, arguments.limit or file.count)
    else:  # the header comes first: count before writing
        count = sum(1 for _ in records())
    progress = tqdm(records(), total=count, unit=" words", disable=True if arguments.quiet else None)
    with open_output(arguments.output) as output:
        output.write(f"{count} {file.dim}\n")
        for record in progress:
            word, vector = file.parse(record)
            output.write(f"{word} {to_text(vector)}\n")
    print(f"{count:,} words of {file.dim} numbers", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(main)
