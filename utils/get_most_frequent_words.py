"""The most frequent words of a frequency list, one a line, in a form the uploader's --wordlist takes.

Example:
  python utils/get_most_frequent_words.py --frequency_data_file freq.csv --num_of_words 50000 > words.txt

The list is CSV, `word,count`, with or without a header, for example the Kaggle set
rtatman/english-word-frequency. Words come most frequent first; ties keep the file's order.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from toolkit.cli import CommandError, open_output, positive, run


def read_frequencies(path: Path) -> Iterator[tuple[str, int] | str]:
    """Yield each row's word and count, or for a bad row what is wrong with it, naming file and line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        for row in rows:
            place = f"{path}, line {rows.line_num}"
            if not row or (rows.line_num == 1 and len(row) == 2 and not row[1].strip().lstrip("+-").isdigit()):
                continue  # blank, or the header
            if len(row) != 2:
                yield f"{place}: {len(row)} fields, not word,count"
            elif len(row[0].split()) != 1:
                yield f"{place}: {row[0]!r} is not a word"
            elif not (row[1].strip().isascii() and row[1].strip().isdigit()):
                yield f"{place}: {row[1]!r} is not a count"
            else:
                yield row[0].strip(), int(row[1])


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frequency_data_file", "--frequency-data-file", type=Path, required=True, metavar="CSV")
    parser.add_argument("--num_of_words", "--num-of-words", type=positive, required=True, metavar="N")
    parser.add_argument("--output", default="-", metavar="FILE", help="default: stdout")
    arguments = parser.parse_args(argv)
    frequencies: dict[str, int] = {}
    bad = 0
    for row in read_frequencies(arguments.frequency_data_file):
        if isinstance(row, str):
            print(f"{row}; skipped", file=sys.stderr)
            bad += 1
        else:
            frequencies[row[0]] = max(row[1], frequencies.get(row[0], 0))
    if not frequencies:
        raise CommandError(f"{arguments.frequency_data_file}: no row of the form word,count")
    words = sorted(frequencies, key=frequencies.__getitem__, reverse=True)[: arguments.num_of_words]
    with open_output(arguments.output) as output:
        output.writelines(f"{word}\n" for word in words)
    print(f"{len(words):,} of {len(frequencies):,} words, {bad:,} bad rows skipped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(main)
