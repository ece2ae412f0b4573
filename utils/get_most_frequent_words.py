"""Write the most frequent words of a frequency list, one a line, as the upload's --wordlist reads them.

Example:
  python utils/get_most_frequent_words.py --frequency_data_file freq.csv --num_of_words 50000 > words.txt

The list is CSV, `word,count`, with or without a header, compressed or not, for example the Kaggle set
rtatman/english-word-frequency. Words come most frequent first; ties keep the file's order.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from toolkit import cli
from toolkit.cli import CommandError


def read_frequencies(path: Path) -> Iterator[tuple[str, int] | str]:
    """Yield each row's word and count, or for a bad row what is wrong with it, naming file and line."""
    rows = csv.reader(line.removeprefix("\ufeff") for line in cli.read_lines(path))
    try:
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
    except csv.Error as error:
        raise CommandError(f"{path}, line {rows.line_num}: not CSV ({error})") from None


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("--frequency_data_file", "--frequency-data-file", type=Path, required=True, metavar="CSV")
    parser.add_argument("--num_of_words", "--num-of-words", type=cli.positive, required=True, metavar="N")
    parser.add_argument("--output", default="-", metavar="FILE", help="default: stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    frequencies: dict[str, int] = {}
    bad = 0
    rows = read_frequencies(arguments.frequency_data_file)
    for row in tqdm(rows, "reading", unit=" rows", disable=arguments.quiet or None):
        if isinstance(row, str):
            tqdm.write(f"{row}; skipped", sys.stderr)
            bad += 1
        else:
            frequencies[row[0]] = max(row[1], frequencies.get(row[0], 0))
    if not frequencies:
        raise CommandError(f"{arguments.frequency_data_file}: no row of the form word,count")
    words = sorted(frequencies, key=frequencies.__getitem__, reverse=True)[: arguments.num_of_words]
    with cli.open_output(arguments.output) as output:
        output.writelines(f"{word}\n" for word in words)
    print(f"{len(words):,} of {len(frequencies):,} words, {bad:,} bad rows skipped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    cli.run(main)
