"""Upload the words of a vector file to a table: what it costs, the writing with its progress, the comparison after."""

import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from inference.item_format import BATCH_KEYS, decode_vector
from toolkit.cli import CommandError, log
from toolkit.vectors import prices
from toolkit.vectors import table as vector_table
from toolkit.vectors.bulk_import import import_line
from toolkit.vectors.progress import Progress, ResumePoint, resume_point
from toolkit.vectors.selection import Item, Selection
from toolkit.vectors.table import Pause

SAVE_INTERVAL = 1.0  # seconds of work that a killed run may do again
DIFFERENCES_SHOWN = 20


class Batch(NamedTuple):
    """Items of one call, and the point in the file behind them."""

    items: list[Item]
    point: ResumePoint


def batches(selection: Selection, size: int, after: int = 0) -> Iterator[Batch]:
    """Yield the items of a selection `size` at a time; before a bad line's error, those before it."""
    items = []
    try:
        for item in selection.items(after):
            items.append(item)
            if len(items) == size:
                yield Batch(items, selection.point)
                items = []
    except CommandError:
        yield Batch(items, selection.point)
        raise
    yield Batch(items, selection.point)


def write(
    client: Any, table: str, selection: Selection, progress: Progress, verify: bool = False, quiet: bool = False
) -> int:
    """Write the words of a surveyed selection to `table`, from where `progress` is; return how many.

    With `verify`, a finished upload is not written again.
    """
    saved = progress.load()
    found, words_before = selection.at(saved.offset) if saved else (None, 0)
    start = resume_point(saved, found, selection.end, verify)
    if start is None:
        progress.forget()
        words_before = 0
    elif start.offset < selection.end and not quiet:
        log(f"{words_before:,} words are there already; going on")

    def call(batch: Batch, pause: Pause) -> None:
        vector_table.write(client, table, batch.items, pause)

    size = vector_table.batch_items(selection.file.dim, selection.format)
    calls = vector_table.in_order(call, batches(selection, size, start.offset if start else 0))
    written, point, saved_at = 0, start, time.monotonic()
    try:
        with tqdm(total=selection.words, initial=words_before, unit=" words", disable=quiet or None) as bar:
            for batch, _ in calls:
                written, point = written + len(batch.items), batch.point
                bar.update(len(batch.items))
                if time.monotonic() > saved_at + SAVE_INTERVAL:
                    progress.save(point)
                    saved_at = time.monotonic()
    except KeyboardInterrupt:
        log("stopped; the same command goes on from here")
        raise
    finally:
        calls.close()
        if point:
            progress.save(point)
    return written


def verify(client: Any, table: str, selection: Selection, quiet: bool = False) -> int:
    """Read every word of a selection back; return how many there are, all as in the file.

    Raises CommandError when some are not, after naming the first of them.
    """
    words = different = 0
    dim = selection.file.dim

    def compare(batch: Batch, pause: Pause) -> list[str]:
        found = vector_table.read(client, table, [word for word, _ in batch.items], pause)
        return [
            f"{word!r} {'differs' if word in found else 'is not there'}"
            for word, attribute in batch.items
            if word not in found or not same_vector(found[word], attribute, dim)
        ]

    with tqdm(total=selection.words, desc="verifying", unit=" words", disable=quiet or None) as bar:
        for batch, differences in vector_table.in_order(compare, batches(selection, BATCH_KEYS)):
            bar.update(len(batch.items))
            for difference in differences[: max(0, DIFFERENCES_SHOWN - different)]:
                tqdm.write(f"table {table}: {difference}", sys.stderr)
            words, different = words + len(batch.items), different + len(differences)
    if different:
        raise CommandError(
            f"{different:,} of {words:,} words in table {table} are not as in {selection.file.path};"
            " to write them again, run without --verify"
        )
    return words


def same_vector(stored: dict[str, Any], written: dict[str, Any], dim: int) -> bool:
    """Return whether two attributes are the same bytes; for lists, which DynamoDB respells, equal numbers."""
    if "B" in written:
        return bytes(stored.get("B", b"")) == written["B"]
    try:
        return "L" in stored and np.array_equal(decode_vector(stored, dim), decode_vector(written, dim))
    except ValueError:
        return False


def estimate(selection: Selection, quiet: bool = False) -> str:
    """Return what an upload would take and cost, as lines to print; raises as the upload would."""
    words = size = largest = units = json_size = 0
    for word, attribute in tqdm(
        selection.items(), "reading", selection.words, unit=" words", disable=quiet or None, leave=False
    ):
        item = prices.item_size(word.encode(), attribute)
        words, size, largest = words + 1, size + item, max(largest, item)
        units += prices.write_units(item)
        json_size += len(import_line(word, attribute))
    mean, mean_units = size / max(words, 1), units / max(words, 1)
    imported, stored = json_size / 1e9, (size + prices.STORAGE_OVERHEAD * words) / 1e9
    return "\n".join(
        [
            f"words         {words:,}",
            f"item size     {mean:,.0f} bytes on average, at most {largest:,}",
            f"write units   {units:,}, {mean_units:.2f} a word, ${units * prices.DOLLARS_PER_WRITE_UNIT:.4f}",
            f"or --via-s3   {imported:.3f} GB imported, ${imported * prices.DOLLARS_PER_GB_IMPORTED:.4f}",
            f"to keep       {stored:.3f} GB, ${stored * prices.DOLLARS_PER_GB_MONTH:.4f} a month",
            f"prices        {prices.PRICES_OF}",
        ]
    )
