"""Upload word vectors to the DynamoDB table that the handlers read.

Example:
  python utils/upload_word_vectors_to_dynamo.py glove.840B.300d.txt word-vectors --create-table
  python utils/upload_word_vectors_to_dynamo.py GoogleNews.bin.gz words --wordlist words.txt --dry-run
  python utils/upload_word_vectors_to_dynamo.py glove.840B.300d.txt words --via-s3 my-bucket

Reads word2vec text and binary and GloVe text, gzipped or not. Interrupted and run again, it goes on where it
was. Region, credentials and endpoint come from the environment, as for every AWS tool.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from inference.item_format import FORMATS, KEY_BYTES, decode_vector
from inference.word_vectors import BATCH_KEYS
from toolkit.vectors import prices as costs
from toolkit.vectors import bulk_import
from toolkit.vectors import table as vector_table
from toolkit.cli import CommandError, open_output, output_file, read_wordlist, run
from toolkit.vectors.selection import Place, Selection
from toolkit.vectors.progress import Progress
from toolkit.vectors.file import VectorFile, VectorFileError
from toolkit.vectors.table import VectorTable

SAVE_INTERVAL = 1.0  # seconds of work that a killed run may do again
DIFFERENCES_SHOWN = 20


class Batch(NamedTuple):
    """Items of one call, and the place in the file behind them."""

    items: list[tuple[str, dict[str, Any]]]
    place: Place


def batches(selection: Selection, size: int, after: int = 0) -> Iterator[Batch]:
    """Yield the items of a selection `size` at a time; before a bad line's error, those before it."""
    items = []
    try:
        for item in selection.items(after):
            items.append(item)
            if len(items) == size:
                yield Batch(items, selection.place())
                items = []
    except VectorFileError:
        yield Batch(items, selection.place())
        raise
    yield Batch(items, selection.place())


def upload(table: VectorTable, selection: Selection, progress: Progress, after: Place | None, quiet: bool) -> int:
    """Write the words of `selection` behind the place `after`; return how many."""
    written, place, saved = 0, after, time.monotonic()
    size = vector_table.batch_items(selection.file.dim, selection.format)
    todo = batches(selection, size, after.offset if after else 0)
    calls = table.in_order(lambda batch: table.write(batch.items), todo)
    bar = tqdm(total=selection.words, initial=selection.words_before, unit=" words", disable=quiet or None)
    try:
        with bar:
            for batch, _ in calls:
                written, place = written + len(batch.items), batch.place
                bar.update(len(batch.items))
                if table.throttled:
                    bar.set_postfix_str(f"throttled {table.throttled:,}", refresh=False)
                if time.monotonic() > saved + SAVE_INTERVAL:
                    progress.save(place)
                    saved = time.monotonic()
    except KeyboardInterrupt:
        print("stopping; the same command goes on from here", file=sys.stderr)
        raise
    finally:
        calls.close()
        if place:
            progress.save(place)
    return written


def verify(table: VectorTable, selection: Selection, quiet: bool) -> int:
    """Read every word of `selection` back; return how many there are, all as in the file.

    Raises CommandError when some are not, after naming the first of them.
    """
    words = different = 0
    dim = selection.file.dim

    def compare(batch: Batch) -> list[str]:
        found = table.read([word for word, _ in batch.items])
        return [
            f"{word!r} {'differs' if word in found else 'is not there'}"
            for word, attribute in batch.items
            if word not in found or not same_vector(found[word], attribute, dim)
        ]

    with tqdm(total=selection.words, desc="verifying", unit=" words", disable=quiet or None) as bar:
        for batch, differences in table.in_order(compare, batches(selection, BATCH_KEYS)):
            bar.update(len(batch.items))
            for difference in differences[: max(0, DIFFERENCES_SHOWN - different)]:
                tqdm.write(f"table {table.table}: {difference}", sys.stderr)
            words, different = words + len(batch.items), different + len(differences)
    if different:
        raise CommandError(
            f"{different:,} of {words:,} words in table {table.table} are not as in {selection.file.path};"
            " to write them again, run without --verify"
        )
    return words


def same_vector(stored: dict[str, Any], written: dict[str, Any], dim: int) -> bool:
    """Tell whether two attributes are the same bytes; for lists, which DynamoDB respells, equal numbers."""
    if "B" in written:
        return bytes(stored.get("B", b"")) == written["B"]
    try:
        return "L" in stored and np.array_equal(decode_vector(stored, dim), decode_vector(written, dim))
    except ValueError:
        return False


def estimate(selection: Selection, quiet: bool) -> str:
    """Return what an upload would take, for people to read; raises as the upload would."""
    words = size = units = json_size = 0
    largest = 0
    for word, attribute in tqdm(
        selection.items(), "reading", selection.words, unit=" words", disable=quiet or None, leave=False
    ):
        item = costs.item_size(word.encode(), attribute)
        words, size, units, largest = (
            words + 1,
            size + item,
            units + costs.write_units(item),
            max(largest, item),
        )
        json_size += len(bulk_import.import_line(word, attribute))
    mean, mean_units = size / max(words, 1), units / max(words, 1)
    imported, stored = json_size / 1e9, (size + costs.STORAGE_OVERHEAD * words) / 1e9
    return "\n".join(
        [
            f"words         {words:,}",
            f"item size     {mean:,.0f} bytes on average, at most {largest:,}",
            f"write units   {units:,}, {mean_units:.2f} a word, ${units * costs.DOLLARS_PER_WRITE_UNIT:.4f}",
            f"or --via-s3   {imported:.3f} GB imported, ${imported * costs.DOLLARS_PER_GB_IMPORTED:.4f}",
            f"to keep       {stored:.3f} GB, ${stored * costs.DOLLARS_PER_GB_MONTH:.4f} a month",
            f"prices        {costs.PRICES_OF}",
        ]
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path, metavar="VECTORS")
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument("--wordlist", "--word_list", type=Path, metavar="FILE", help="only these words, one a line")
    parser.add_argument(
        "--missing", type=output_file, metavar="FILE", help="write the words of --wordlist that have no vector there"
    )
    parser.add_argument("--create-table", action="store_true", help="create the table, on demand, if there is none")
    parser.add_argument("--format", choices=FORMATS, default="float32", help="default: float32")
    parser.add_argument("--skip-bad-lines", action="store_true", help="skip and count them; default: stop at one")
    roads = parser.add_mutually_exclusive_group()
    roads.add_argument("--dry-run", action="store_true", help="write nothing; say what it would take")
    roads.add_argument("--via-s3", metavar="BUCKET", help="let DynamoDB import a new table from this bucket")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="when all is written, read it back and compare; a finished upload is not written again",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit code."""
    usage = parser()
    arguments = usage.parse_args(argv)
    if arguments.missing and not arguments.wordlist:
        usage.error("--missing goes with --wordlist")
    quiet = arguments.quiet
    wanted = read_wordlist(arguments.wordlist) if arguments.wordlist else None
    file = VectorFile(arguments.vectors)
    if costs.largest_item(KEY_BYTES, file.dim, arguments.format) > costs.MAX_ITEM_BYTES:
        raise CommandError(f"{file.path}: vectors of {file.dim} numbers do not fit into a DynamoDB item of 400 KB")
    selection = Selection(file, arguments.format, wanted, arguments.skip_bad_lines)
    selection.survey(quiet)

    if arguments.dry_run:
        print(estimate(selection, quiet))
        report(selection, arguments)
        return 0

    client = vector_table.client()
    if arguments.via_s3:
        written = bulk_import.import_words(
            client, bulk_import.s3_client(), arguments.table, selection, arguments.via_s3, quiet
        )
        print(f"{written:,} words imported into {arguments.table}")
        report(selection, arguments)
    else:
        if arguments.create_table:
            vector_table.create_table(client, arguments.table)
        table_id = vector_table.open_table(client, arguments.table)
        progress = Progress(table_id, arguments.format, wanted, arguments.skip_bad_lines)
        after = progress.load()
        finished = after is not None and after.offset == selection.end
        if after and ((finished and not arguments.verify) or not selection.reaches(after)):
            after = None  # asked again for what is finished, or another file: write
        if after is None:
            progress.forget()
        elif after.offset < selection.end and not quiet:
            print(f"{selection.words_before:,} words are there already; going on", file=sys.stderr)
        table = VectorTable(client, arguments.table)
        written = upload(table, selection, progress, after, quiet)
        if written or not arguments.verify:
            print(f"{written:,} words written to {arguments.table}")
        report(selection, arguments)
    if arguments.verify:
        same = verify(VectorTable(client, arguments.table), selection, quiet)
        print(f"{same:,} words in table {arguments.table} are as in {file.path}")
    return 0


def report(selection: Selection, arguments: argparse.Namespace) -> None:
    """Tell what was left out."""
    if selection.duplicates:
        print(f"{selection.duplicates:,} duplicates left out, the first of each word was taken")
    if selection.bad_lines:
        print(f"{selection.bad_lines:,} bad lines skipped")
    if selection.wanted is not None:
        missing, wanted = len(selection.missing), len(selection.wanted)
        print(f"{missing:,} of {wanted:,} words of {arguments.wordlist} have no vector in {arguments.vectors}")
    if arguments.missing:
        with open_output(arguments.missing) as output:
            output.writelines(f"{word.decode()}\n" for word in selection.missing)


if __name__ == "__main__":
    run(main)
