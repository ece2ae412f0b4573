"""Send requests to a deployed model from many clients at once; report throughput, latency and errors.

    python utils/load_test.py http://localhost:4566/_aws/execute-api/1a2b3c/kim_cnn --data data/demo_sentences.txt
    python utils/load_test.py URL --data trecqa/raw-dev --concurrency 1 2 4 8 --report load.json --plot load.svg

--data is a file of sentences, one a line; a file of `label<TAB>sentence` lines, as SST has them; a file of
`question<TAB>answer` lines; or a folder with TrecQA's `a.toks` and `b.toks`. The requests are sent in order, from the
start again when they run out. Each of the N clients sends its next request when its last one was answered (a closed
loop), so a server that stalls receives fewer requests.

Latency is from the first byte sent to the last byte received, of requests answered with 200. Percentiles are nearest
ranks: p99 is the least latency that at least 99 % of requests do not exceed. A request with a `t_load_model` over 0
counts as a cold start.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from tqdm import tqdm

from toolkit import cli
from toolkit.cli import CommandError, open_output, positive, run
from toolkit.plot import WIDTH, pyplot, readable, save
from toolkit.traffic import Fields, read_requests

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
TIMINGS = ("t_overall", "t_sent_embedding", "t_inference", "t_load_model")


@dataclass
class Level:
    """What was measured with one number of clients; times in seconds."""

    concurrency: int
    latencies: list[float] = field(default_factory=list)  # of requests answered with 200
    timings: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TIMINGS})
    errors: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0


def load(url: str, requests: Sequence[Fields], level: Level, count: int, timeout: float, quiet: bool) -> None:
    """Send `count` of `requests` from `level.concurrency` clients and fill in `level`; Ctrl-C ends it early."""
    bodies = itertools.islice(itertools.cycle(json.dumps(fields).encode() for fields in requests), count)
    description = f"{level.concurrency} clients"
    with (
        urllib3.PoolManager(maxsize=level.concurrency, block=True, retries=False, timeout=timeout) as connections,
        tqdm(total=count, unit="request", desc=description, disable=True if quiet else None) as progress,
        ThreadPool(level.concurrency) as clients,
    ):
        started = time.perf_counter()
        try:
            for error, answer, latency in clients.imap_unordered(partial(send, connections, url), bodies):
                progress.update()
                if error:
                    level.errors[error] += 1
                    continue
                level.latencies.append(latency)
                for name in TIMINGS:
                    if name in answer:
                        level.timings[name].append(answer[name])
        finally:
            level.elapsed = time.perf_counter() - started


def send(connections: urllib3.PoolManager, url: str, body: bytes) -> tuple[str, dict[str, Any], float]:
    """Send one request; return the kind of error ("" when it was answered), the answer, and its seconds."""
    started = time.perf_counter()
    try:
        response = connections.request("POST", url, body=body, headers={"Content-Type": "application/json"})
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__, {}, 0.0
    latency = time.perf_counter() - started
    if response.status != 200:
        return f"HTTP {response.status}", {}, latency
    try:
        answer = json.loads(response.data)
    except ValueError:
        return "no JSON", {}, latency
    return ("", answer, latency) if isinstance(answer, dict) else ("no JSON object", {}, latency)


def summary(level: Level) -> dict[str, Any]:
    """Return a level's figures for the report, in requests, seconds and requests per second."""
    answered, failed = len(level.latencies), level.errors.total()
    figures: dict[str, Any] = {
        "concurrency": level.concurrency,
        "requests": answered + failed,
        "errors": dict(level.errors.most_common()),
        "seconds": level.elapsed,
        "throughput": answered / level.elapsed,
    }
    if answered:
        figures["cold_starts"] = sum(seconds > 0 for seconds in level.timings["t_load_model"]) / answered
        figures["latency"] = distribution(level.latencies)
        figures["server"] = {name: distribution(values) for name, values in level.timings.items() if values}
    return figures


def distribution(values: Sequence[float]) -> dict[str, float]:
    """Return mean, nearest-rank percentiles and maximum of `values`."""
    ranks = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    return {"mean": float(np.mean(values)), **dict(zip(QUANTILES, ranks.tolist(), strict=True)), "max": max(values)}


def table(levels: Sequence[dict[str, Any]]) -> str:
    """Return the figures for people, latencies in milliseconds."""
    columns = ["mean", *QUANTILES]
    rows = [["clients", "requests/s", *columns, "server", "cold", "errors"]]
    for level in levels:
        row = [str(level["concurrency"]), f"{level['throughput']:.1f}"]
        if latency := level.get("latency"):
            server = level["server"].get("t_overall")
            row += [f"{1e3 * latency[name]:.1f}" for name in columns]
            row += [f"{1e3 * server['p50']:.1f}" if server else "-", f"{level['cold_starts']:.1%}"]
        else:
            row += ["-"] * (len(columns) + 2)
        rows.append([*row, ", ".join(f"{count} {kind}" for kind, count in level["errors"].items()) or "0"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(lines) + "\n\nlatencies in ms; server: median of the function's own t_overall"


def plot(levels: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draw latency against the number of clients, and throughput below it, into an SVG or PNG file."""
    answered = [level for level in levels if "latency" in level]
    clients = [level["concurrency"] for level in answered]
    with readable():
        figure, (upper, lower) = pyplot().subplots(2, figsize=(WIDTH, 7.5), layout="constrained", height_ratios=(3, 2))
        lines = {name: [1e3 * level["latency"][name] for level in answered] for name in QUANTILES}
        server = [1e3 * level["server"]["t_overall"]["p50"] for level in answered if "t_overall" in level["server"]]
        if len(server) == len(clients):
            lines["function,\np50"] = server
        for place, (name, values) in enumerate(lines.items()):
            upper.plot(clients, values, ":" if name not in QUANTILES else "-o", color=f"C{place}")
            upper.annotate(
                name,
                (clients[-1], values[-1]),
                (8, 7 if place % 2 else -7),
                textcoords="offset points",
                color=f"C{place}",
                va="center",
            )
        upper.set(xscale="log", yscale="log", title="latency, ms")
        upper.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        lower.plot(clients, [level["throughput"] for level in answered], "-o")
        lower.set(xscale="log", xlabel="clients at once", title="requests per second", ylim=0)
        for axes in (upper, lower):
            axes.set_xticks(clients, [str(number) for number in clients])
            axes.minorticks_off()
        figure.suptitle(title, fontsize="medium")
        save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("url", metavar="URL", help="the model's URL, as deploy.py prints it")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="the texts to send, as above")
    parser.add_argument(
        "--concurrency", type=positive, nargs="+", default=[1], metavar="N", help="clients (default: 1)"
    )
    parser.add_argument("--requests", type=positive, default=200, metavar="M", help="for each N (default: 200)")
    parser.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds per request (default: 30)")
    parser.add_argument("--report", metavar="FILE", help="write all figures as JSON, - for stdout instead of the table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw latency against clients, .svg or .png")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"{options.url} is not a URL; it starts with http:// or https://")
    requests = read_requests(options.data)
    levels: list[Level] = []
    interrupted = False
    for concurrency in options.concurrency:
        levels.append(Level(concurrency))
        try:
            load(options.url, requests, levels[-1], options.requests, options.timeout, options.quiet)
        except KeyboardInterrupt:
            interrupted = True
            break
    figures = [summary(level) for level in levels]
    if options.report != "-":
        print(table(figures))
    if options.report:
        with open_output(options.report) as output:
            json.dump({"url": options.url, "data": str(options.data), "levels": figures}, output, indent=1)
            output.write("\n")
    answered = any(level.latencies for level in levels)
    if options.plot and answered:
        plot(figures, options.plot, f"{options.requests} requests per number of clients")
    if not answered and not interrupted:
        errors = sum((level.errors for level in levels), Counter[str]())
        kinds = ", ".join(f"{count} {kind}" for kind, count in errors.most_common())
        raise CommandError(f"no request was answered: {kinds}")
    return 130 if interrupted else 0


if __name__ == "__main__":
    run(main)
