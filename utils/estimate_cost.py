"""Estimate what requests cost on AWS, part by part, from measured durations and the cache hit rate of your texts.

    python utils/estimate_cost.py bench/results/durations.json --data tickets.csv
    python utils/estimate_cost.py bench/results/durations.json --data trecqa/raw-dev --life 500 --plot cost.svg

The durations file is JSON: `memory_mb`, `dim`, the bytes that a request logs (`function_log_bytes`, `api_log_bytes`,
and with PlatformLogs=on `platform_log_bytes`; bench/log_bytes.py), and under `packages` for each package
`start_seconds` (a cold start, to its first answer), `restore_seconds` (the same from a SnapStart snapshot),
`cached_seconds` and `uncached_seconds` (a warm request with every word in the cache, and with none) and
`read_wait_seconds` (what DynamoDB takes to answer); `batch_seconds`, of a row in a batch (bench/batch_rate.py), may be
left out, and the column with it. Durations measured on another machine hold on Lambda as far as the processors are
alike.

The requests of --data (in the forms of `load_test.py`) go in random order to containers that live for --life requests
each: that gives the cache hit rate, and shares the cost of a start. The first --hot-words of --vectors are in the
package; the estimate then still has each container start a client for the table, as nearly each one meets another word.
The sum is that of Front=http-api; below it stands that of function URLs, which cost nothing and have no log. Prices are
without free tiers. What alarms, metrics and traces add (AlarmEmail, Metrics and Tracing of template.yaml) stands below
the table.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from inference import log_line
from inference.hot_words import HotWords
from inference.tokenizer import tokenize
from toolkit import cli
from toolkit.batch import PART_DOLLARS, PART_ROWS
from toolkit.cli import CommandError, run
from toolkit.plot import WIDTH, pyplot, readable, save
from toolkit.prices import (
    DOLLARS_PER_ALARM_METRIC,
    DOLLARS_PER_DASHBOARD,
    DOLLARS_PER_GB_SECOND,
    DOLLARS_PER_LAMBDA_REQUEST,
    DOLLARS_PER_LOG_GB,
    DOLLARS_PER_METRIC,
    DOLLARS_PER_SERVER_HOUR,
    DOLLARS_PER_SNAPSHOT_GB_SECOND,
    DOLLARS_PER_TRACE,
    HOURS_PER_MONTH,
)
from toolkit.request_cost import WORD_BYTES, Way, per_request
from toolkit.traffic import Reads, read_requests, replay
from toolkit.vectors.file import VectorFile
from toolkit.vectors.hot_words import choose
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT, largest_item, read_units

SERVER_MONTH = DOLLARS_PER_SERVER_HOUR * HOURS_PER_MONTH
ALARM_METRICS_OF_FRONT, ALARM_METRICS_OF_MODEL = 3, 6  # that the alarms of template.yaml look at
BATCH_ROWS, BATCH_FUNCTIONS = 1_000_000, 10  # the default of BatchConcurrency
METRICS_BYTES = 446  # that Metrics=on adds to a line of the log
LOG_BYTES = ("function_log_bytes", "api_log_bytes", "platform_log_bytes")
DURATIONS = ("start_seconds", "restore_seconds", "cached_seconds", "uncached_seconds", "read_wait_seconds")


def per_batch_row(durations: dict[str, Any], package: str, vocabulary: int) -> dict[str, float]:
    """Return the dollars of a row in a batch of a million by ten functions, each of which reads the vocabulary once."""
    measured, gigabytes = durations["packages"][package], durations["memory_mb"] / 1024
    units = read_units(largest_item(WORD_BYTES, durations["dim"], "float32"))
    share = BATCH_FUNCTIONS / BATCH_ROWS
    return {
        "gateway": 0.0,
        "Lambda requests": DOLLARS_PER_LAMBDA_REQUEST / PART_ROWS,
        "Lambda time, requests": DOLLARS_PER_GB_SECOND * gigabytes * measured["batch_seconds"],
        "Lambda time, starts": DOLLARS_PER_GB_SECOND * gigabytes * measured["start_seconds"] * share,
        "SnapStart restores": 0.0,
        "DynamoDB reads": DOLLARS_PER_READ_UNIT * units * vocabulary * share,
        "logs of the function": DOLLARS_PER_LOG_GB * durations["function_log_bytes"] / 1e9 / PART_ROWS,
        "logs of the API": 0.0,
        "Step Functions, S3": PART_DOLLARS / PART_ROWS,
    }


def snapshot_month(durations: dict[str, Any]) -> float:
    """Return the dollars a month of keeping one version's snapshot, with or without requests."""
    return durations["memory_mb"] / 1024 * DOLLARS_PER_SNAPSHOT_GB_SECOND * HOURS_PER_MONTH * 3600


def watching(models: int) -> str:
    """Return what it costs to watch a stack of so many models, in sentences."""
    alarms, of_urls = (
        DOLLARS_PER_ALARM_METRIC * (ALARM_METRICS_OF_FRONT * fronts + ALARM_METRICS_OF_MODEL * models)
        for fronts in (1, models)  # one API, or a function URL for each
    )
    metrics = DOLLARS_PER_METRIC * len(log_line.METRICS) * models
    line = 1e6 * DOLLARS_PER_LOG_GB * METRICS_BYTES / 1e9
    return (
        f"Watching {models} model{'s' if models > 1 else ''} costs, a month: alarms ${alarms:.2f} (with function URLs "
        f"${of_urls:.2f}), a dashboard ${DOLLARS_PER_DASHBOARD:.2f}, metrics ${metrics:.2f} and ${line:.2f} of log per "
        "million requests."
    )


def read_durations(path: Path) -> dict[str, Any]:
    """Read a durations file; raise CommandError that names file and field."""
    try:
        durations: dict[str, Any] = json.loads(path.read_text("utf-8"))
        numbers = {name: durations[name] for name in ("memory_mb", "dim", *LOG_BYTES)}
        for package, measured in durations["packages"].items():
            numbers |= {f"packages.{package}.{name}": measured[name] for name in DURATIONS}
    except KeyError as error:
        raise CommandError(f"{path}: not a durations file, it has no {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(f"{path}: not a durations file ({error})") from None
    for name, value in numbers.items():
        if not isinstance(value, int | float) or not value >= 0:
            raise CommandError(f"{path}: {name} is {value!r}; give a number, 0 or more")
    if not durations["packages"]:
        raise CommandError(f"{path}: no packages in it")
    return durations


def breakdown(ways: Sequence[Way]) -> str:
    """Return a Markdown table of dollars per million requests, a column for each way."""
    lines = [["dollars per million requests", *(way.name for way in ways)], ["---", *["---:"] * len(ways)]]
    lines += [[part, *(f"{1e6 * way.parts[part]:.2f}" for way in ways)] for part in ways[0].parts]
    lines += [["**sum**", *(f"**{1e6 * way.dollars:.2f}**" for way in ways)]]
    lines += [["**sum, function URLs**", *(f"**{1e6 * way.url_dollars:.2f}**" for way in ways)]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plot(ways: Sequence[Way], snapshot: float, path: Path) -> None:
    """Draw dollars a month against requests a month, with the cache; mark where a server costs as much."""
    shown = [way for way in ways if way.cache]
    most = 1.35 * max(SERVER_MONTH / way.dollars for way in shown)
    top = 1.5 * SERVER_MONTH
    with readable():
        figure, axes = pyplot().subplots(figsize=(WIDTH, 4.6), layout="constrained")
        axes.axhline(SERVER_MONTH, color="black")
        axes.text(1.2 * most, SERVER_MONTH, f"a server: ${SERVER_MONTH:.2f}", ha="right", va="bottom")
        # One of those that coincide.
        lines = {(way.snapstart, round(1e6 * way.dollars, 2)): way for way in reversed(shown)}
        for place, way in enumerate(lines.values()):
            name, colour = "SnapStart" if way.snapstart else way.name, f"C{place}"
            fixed = snapshot * way.snapstart
            end = min(most, (top - fixed) / way.dollars)
            dollars = fixed + end * way.dollars
            even = (SERVER_MONTH - fixed) / way.dollars
            axes.plot([0, end], [fixed, dollars], color=colour)
            axes.plot(even, SERVER_MONTH, "o", color=colour)
            label = {"textcoords": "offset points", "color": colour}
            axes.annotate(name, (end, dollars), (4, 0), va="center", **label)
            last = even == max((SERVER_MONTH - snapshot * each.snapstart) / each.dollars for each in shown)
            side: dict[str, Any] = {"ha": "left" if last else "right"}
            axes.annotate(f"{even / 1e6:.1f}", (even, SERVER_MONTH), (5, -15) if last else (-5, 5), **side, **label)
        axes.set(xlim=(0, 1.2 * most), ylim=(0, 1.05 * top), xlabel="million requests a month", title="dollars a month")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
        axes.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}")
        save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("durations", type=Path, metavar="DURATIONS", help="measured durations, JSON as above")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="the requests, as for load_test.py")
    parser.add_argument("--life", type=int, default=100, metavar="N", help="requests a container serves (default: 100)")
    parser.add_argument("--cache", type=int, default=10_000, metavar="WORDS", help="WORD_CACHE_SIZE (default: 10000)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw cost a month, .svg or .png")
    parser.add_argument("--hot-words", type=cli.positive, metavar="N", help="words of --vectors in the package")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="vector file, most frequent words first")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(argv)
    if bool(options.hot_words) != bool(options.vectors):
        parser.error("--hot-words and --vectors go together")
    if options.life < 1 or options.cache < 0:
        parser.error("--life must be at least 1, and --cache at least 0")
    durations = read_durations(options.durations)
    requests = read_requests(options.data)
    random.Random(0).shuffle(requests)  # noqa: S311
    lives = sorted({1, 10, 100, 1000, options.life})
    hot = None
    if options.vectors:
        hot = HotWords(*choose(VectorFile(options.vectors), options.hot_words, "float32"), {})

    def reads_of(life: int, cache: int) -> Reads:
        shown = tqdm(requests, f"containers of {life}", unit=" requests", leave=False, disable=options.quiet or None)
        return replay(shown, life, cache, hot)

    reads = {life: reads_of(life, options.cache) for life in lives}
    uncached = reads_of(options.life, 0)
    print(f"{len(requests)} requests of {options.data.name}, {reads[1].words:.1f} distinct words each\n")
    print("| requests a container serves | words found at hand | requests that read the table |")
    print("| ---: | ---: | ---: |")
    for life in lives:
        served = f"{life} (of which {len(requests)})" if life > len(requests) else str(life)
        print(f"| {served} | {reads[life].hit_rate:.1%} | {reads[life].reading:.1%} |")
    ways = [
        Way(
            package + (", SnapStart" if snapstart else "") + ("" if cache else ", no cache"),
            snapstart,
            cache,
            per_request(durations, package, reads[options.life] if cache else uncached, options.life, snapstart),
        )
        for package in durations["packages"]
        for snapstart in (False, True)
        for cache in (True, False)
    ]
    shown = list(ways)
    vocabulary = len({word for fields in requests for text in fields.values() for word in tokenize(text)})
    for package, measured in durations["packages"].items():
        if "batch_seconds" in measured:
            shown.append(Way(f"{package}, batch", False, True, per_batch_row(durations, package, vocabulary)))
    snapshot = snapshot_month(durations)
    print(f"\nContainers that serve {options.life} requests, {durations['memory_mb']} MB.\n\n{breakdown(shown)}\n")
    print(f"A SnapStart snapshot costs ${snapshot:.2f} a month.")
    print(f"{watching(1)}\n{watching(2)}")
    platform = 1e6 * DOLLARS_PER_LOG_GB * durations["platform_log_bytes"] / 1e9
    print(f"PlatformLogs=on adds ${platform:.2f} of log per million requests.")
    print(f"A million traces cost ${1e6 * DOLLARS_PER_TRACE:.2f}: of a request a second, and of 5 % of the others.")
    print(f"A t4g.small that is always on costs ${SERVER_MONTH:.2f} a month, as much as")
    for way in ways:
        left = SERVER_MONTH - snapshot * way.snapstart
        each = [f"{left / dollars / 1e6:.1f}" for dollars in (way.dollars, way.url_dollars)]
        print(f"- {way.name}: {each[0]} million requests a month, {each[1]} through function URLs")
    if options.plot:
        plot(ways, snapshot, options.plot)
    return 0


if __name__ == "__main__":
    run(main)
