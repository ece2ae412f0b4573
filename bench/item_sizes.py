"""Bytes and write units of a word's item, for 50-d and 300-d, in each format.

python bench/item_sizes.py data/glove.6B.50d.sample.txt.gz [VECTORS...]
"""

import argparse
import statistics
from pathlib import Path

from inference.item_format import FORMATS, encode_vector
from toolkit.vectors.prices import DOLLARS_PER_WRITE_UNIT, item_size, write_units
from toolkit.vectors.file import read_vectors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path, nargs="+")
    arguments = parser.parse_args()
    print("file, format: bytes a word on average, at most; write units a word; dollars for a million words")
    for path in arguments.vectors:
        for format in FORMATS:
            sizes = [item_size(word.encode(), encode_vector(vector, format)) for word, vector in read_vectors(path)]
            units = statistics.mean(map(write_units, sizes))
            print(
                f"{path.name}, {format}: {statistics.mean(sizes):,.0f}, {max(sizes):,};"
                f" {units:.2f}; {1e6 * units * DOLLARS_PER_WRITE_UNIT:.2f}"
            )


if __name__ == "__main__":
    main()
