"""Estimate what requests cost on AWS, part by part, from measured durations and a measured cache hit rate.

    python utils/estimate_cost.py bench/results/durations.json --data sst/stsa.fine.dev.tsv
    python utils/estimate_cost.py bench/results/durations.json --data trecqa/raw-dev --life 500 --plot cost.svg

The durations file is JSON: `memory_mb`, `dim`, `log_bytes` a request, and for each package, under `packages`,
`start_seconds` (from the start of a process to the end of its first answer), `restore_seconds` (the same after
SnapStart restored it), `cached_seconds` and `uncached_seconds` (a warm request with every word in the cache, and with
none), `read_wait_seconds` (what an uncached request waits for DynamoDB), and `commands`, how each was measured. A
duration measured here is one on Lambda to the extent that the processors are alike.

The hit rate is that of the data, which `load_test.py` also reads, sent in random order to containers with the cache of
the functions (`--cache` words) that live for `--life` requests each; so many requests pay for one start. Prices are
those of `toolkit/prices.py` and `toolkit/vectors/prices.py`, without free tiers.
"""

import argparse
import json
import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inference.tokenizer import tokenize
from inference.word_vectors import WordVectors
from toolkit import prices as costs
from toolkit.cli import CommandError, run
from toolkit.plot import pyplot, save
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT, largest_item, read_units
from utils.load_test import Fields, read_requests

PARTS = ("gateway", "Lambda requests", "Lambda time, requests", "Lambda time, starts", "SnapStart restores",
         "DynamoDB reads", "logs")  # fmt: skip
DURATIONS = ("start_seconds", "restore_seconds", "cached_seconds", "uncached_seconds", "read_wait_seconds")


class Traffic(NamedTuple):
    """What requests need of the table: distinct words of a request, the share of words that the cache had, and the
    share of requests that had to read, for want of one word or more.
    """

    words: float
    hit_rate: float
    reading: float


class CountingTable:
    """A table without words that counts the keys it is asked for, in place of a DynamoDB client."""

    calls, read = 0, 0

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Answer that no word is known, which the cache remembers like a vector."""
        ((table, asked),) = RequestItems.items()
        self.calls += 1
        self.read += len(asked["Keys"])
        return {"Responses": {table: []}}


def replay(requests: Iterable[Fields], life: int, cache_size: int) -> Traffic:
    """Return what `requests` would have found in the caches of containers that live for `life` requests each."""
    table, asked, count, reading = CountingTable(), 0, 0, 0
    vectors = None
    for count, fields in enumerate(requests, 1):
        if vectors is None or (count - 1) % life == 0:
            vectors = WordVectors(table, "words", 1, cache_size)
        before = table.calls
        asked += len(vectors.lookup(word for text in fields.values() for word in tokenize(text)))
        reading += table.calls > before
    return Traffic(asked / count, 1 - table.read / asked, reading / count)


def per_request(
    durations: dict[str, Any], package: str, traffic: Traffic, life: int, snapstart: bool, cache: bool
) -> dict[str, float]:
    """Return the dollars one request costs, by part, starts shared out among the requests of a container."""
    measured, gigabytes = durations["packages"][package], durations["memory_mb"] / 1024
    hit_rate, reading = (traffic.hit_rate, traffic.reading) if cache else (0.0, 1.0)
    cached = _billed(measured["cached_seconds"])
    uncached = _billed(measured["uncached_seconds"] + measured["read_wait_seconds"])
    warm = (1 - reading) * cached + reading * uncached
    start = measured["restore_seconds"] if snapstart else measured["start_seconds"]
    units = read_units(largest_item(10, durations["dim"], "float32"))
    return dict(
        zip(
            PARTS,
            (
                costs.DOLLARS_PER_API_REQUEST,
                costs.DOLLARS_PER_LAMBDA_REQUEST,
                costs.DOLLARS_PER_GB_SECOND * gigabytes * warm,
                costs.DOLLARS_PER_GB_SECOND * gigabytes * start / life,
                costs.DOLLARS_PER_RESTORED_GB * gigabytes / life if snapstart else 0.0,
                DOLLARS_PER_READ_UNIT * units * traffic.words * (1 - hit_rate),
                costs.DOLLARS_PER_LOG_GB * durations["log_bytes"] / 1e9,
            ),
            strict=True,
        )
    )


def _billed(seconds: float) -> float:
    return math.ceil(round(1e3 * seconds, 6)) / 1e3  # Lambda counts whole milliseconds


def snapshot_month(durations: dict[str, Any]) -> float:
    """Return the dollars a month of keeping one version's snapshot, requests or none."""
    gigabytes = durations["memory_mb"] / 1024
    return gigabytes * costs.DOLLARS_PER_SNAPSHOT_GB_SECOND * costs.HOURS_PER_MONTH * 3600


def read_durations(path: Path) -> dict[str, Any]:
    """Read a durations file; raises CommandError that names file and field."""
    try:
        durations: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in ("memory_mb", "dim", "log_bytes"):
            _number(path, durations, name, name)
        for package, measured in durations["packages"].items():
            for name in DURATIONS:
                _number(path, measured, name, f"packages.{package}.{name}")
            if not measured.get("commands"):
                raise CommandError(f"{path}: no packages.{package}.commands; say how its durations were measured")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"{path}: not a durations file ({type(error).__name__}: {error})") from None
    if not durations["packages"]:
        raise CommandError(f"{path}: no packages in it")
    return durations


def _number(path: Path, fields: dict[str, Any], name: str, shown: str) -> None:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise CommandError(f"{path}: {shown} is {value!r}; give a number, 0 or more")


def breakdown(ways: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table of dollars per million requests, a column for each way."""
    lines = [["dollars per million requests", *ways], ["---", *["---:"] * len(ways)]]
    lines += [[part, *(f"{1e6 * way[part]:.2f}" for way in ways.values())] for part in PARTS]
    lines += [["**sum**", *(f"**{1e6 * sum(way.values()):.2f}**" for way in ways.values())]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(ways: dict[str, dict[str, float]], snapshot: float, path: Path) -> None:
    """Draw dollars a month against requests a month, beside a small server that is always on."""
    requests = np.logspace(3, 8, 200)
    server = costs.DOLLARS_PER_SERVER_HOUR * costs.HOURS_PER_MONTH
    figure, axes = pyplot().subplots(figsize=(7.5, 4.2), layout="constrained")
    for place, (name, way) in enumerate(ways.items()):
        fixed = snapshot if "SnapStart" in name else 0.0
        line = "--" if "no cache" in name else "-"
        axes.plot(requests, fixed + requests * sum(way.values()), line, color=f"C{place // 2}", label=name)
    axes.axhline(server, color="black", label="t4g.small, always on")
    axes.set(xscale="log", yscale="log", xlabel="requests a month", ylabel="dollars a month", ylim=(1e-2, 1e3))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("durations", type=Path, metavar="DURATIONS", help="measured durations, JSON as above")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="the traffic, as for load_test.py")
    parser.add_argument("--life", type=int, default=100, metavar="N", help="requests a container serves (default: 100)")
    parser.add_argument("--cache", type=int, default=10_000, metavar="WORDS", help="WORD_CACHE_SIZE (default: 10000)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw cost a month, .svg or .png")
    options = parser.parse_args(argv)
    if options.life < 1 or options.cache < 0:
        parser.error("--life must be at least 1, and --cache at least 0")
    durations = read_durations(options.durations)
    requests = read_requests(options.data)
    random.Random(0).shuffle(requests)  # noqa: S311
    lives = sorted({1, 10, 100, 1000, options.life})
    replayed = {life: replay(requests, life, options.cache) for life in lives}
    print(f"{len(requests)} requests of {options.data.name}, {replayed[1].words:.1f} distinct words each\n")
    print("| requests a container serves | words found in its cache | requests that read the table |")
    print("| ---: | ---: | ---: |")
    for life in lives:
        print(f"| {life}{' (of which ' + str(len(requests)) + ')' if life > len(requests) else ''} "
              f"| {replayed[life].hit_rate:.1%} | {replayed[life].reading:.1%} |")  # fmt: skip
    traffic = replayed[options.life]
    ways = {
        package + (", SnapStart" if snapstart else "") + ("" if cache else ", no cache"): per_request(
            durations, package, traffic, options.life, snapstart, cache
        )
        for package in durations["packages"]
        for snapstart in (False, True)
        for cache in (True, False)
    }
    print(f"\nContainers that serve {options.life} requests, {durations['memory_mb']} MB.\n\n{breakdown(ways)}\n")
    server, snapshot = costs.DOLLARS_PER_SERVER_HOUR * costs.HOURS_PER_MONTH, snapshot_month(durations)
    print(
        f"SnapStart's cache: ${snapshot:.2f} a month. A t4g.small that is always on: ${server:.2f} a month, as much as"
    )
    for name, way in ways.items():
        left = server - (snapshot if "SnapStart" in name else 0.0)
        print(f"- {name}: {left / sum(way.values()) / 1e6:.1f} million requests a month")
    if options.plot:
        plot(ways, snapshot, options.plot)
    return 0


if __name__ == "__main__":
    run(main)
