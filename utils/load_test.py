"""Send requests to a deployed model from many clients at once; report throughput, latency and errors.

    python utils/load_test.py http://localhost:4566/_aws/execute-api/1a2b3c/kim_cnn --data sst/stsa.fine.dev.tsv
    python utils/load_test.py URL --data trecqa/raw-dev --concurrency 1 2 4 8 --report load.json --plot load.svg

--data is a folder with TrecQA's `a.toks` and `b.toks`, a file of `label<TAB>sentence` lines as SST has them, a file of
`question<TAB>answer` lines, or a file of sentences, one a line. Its requests are sent in order, from the start again
when they run out. Each of the N clients sends its next request when its last was answered (a closed loop), over a
connection that it keeps: a server that stalls is asked less, so the latency of a stall counts N times and not once for
every request that would have come meanwhile.

Latency is from the first byte sent to the last byte received, of requests answered with 200. A percentile is the
nearest rank: the least latency that at least p % of them do not exceed; of fewer than 1000, p99.9 is the longest.
A request that loaded the model (`t_load_model` over 0) counts as a cold start.
"""

import argparse
import itertools
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from tqdm import tqdm

from toolkit.cli import CommandError, open_output, positive, run
from toolkit.plot import pyplot, save

PERCENTILES = (50, 90, 99, 99.9)
TIMINGS = ("t_overall", "t_sent_embedding", "t_inference", "t_load_model")
Fields = dict[str, str]


@dataclass
class Level:
    """What was seen with one number of clients; times in seconds."""

    concurrency: int
    latencies: list[float] = field(default_factory=list)  # of requests answered with 200
    errors: Counter[str] = field(default_factory=Counter)
    timings: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TIMINGS})
    elapsed: float = 0.0


def read_requests(path: Path) -> list[Fields]:
    """Return the requests a folder or file holds, as the fields of their JSON; raises CommandError."""
    try:
        if path.is_dir():
            questions, answers = (_lines(path / name) for name in ("a.toks", "b.toks"))
            if len(questions) != len(answers):
                raise CommandError(f"{path}: {len(questions)} lines in a.toks but {len(answers)} in b.toks")
            return [{"sent1": q, "sent2": a} for q, a in zip(questions, answers, strict=True)]
        requests: list[Fields] = []
        for line in _lines(path):
            before, tab, after = line.partition("\t")
            if not tab:
                requests.append({"input": line})
            elif before.isdecimal():
                requests.append({"input": after})
            else:
                requests.append({"sent1": before, "sent2": after})
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not requests:
        raise CommandError(f"{path}: no requests in it")
    return requests


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def load(url: str, requests: Sequence[Fields], level: Level, count: int, timeout: float, quiet: bool) -> None:
    """Send `count` of `requests` from `level.concurrency` clients and fill in `level`; Ctrl-C ends it early."""
    bodies = [json.dumps(fields).encode() for fields in requests]
    pool = urllib3.PoolManager(maxsize=level.concurrency, block=True, retries=False, timeout=timeout)
    left, lock, stop = iter(itertools.islice(itertools.cycle(bodies), count)), threading.Lock(), threading.Event()

    def client() -> None:
        while not stop.is_set():
            with lock:
                body = next(left, None)
            if body is None:
                return
            started = time.perf_counter()
            error, answer = send(pool, url, body)
            latency = time.perf_counter() - started
            with lock:
                progress.update()
                if error:
                    level.errors[error] += 1
                else:
                    level.latencies.append(latency)
                    for name in TIMINGS:
                        if name in answer:
                            level.timings[name].append(answer[name])

    description = f"{level.concurrency} clients"
    with tqdm(total=count, unit="request", desc=description, disable=True if quiet else None) as progress:
        clients = [threading.Thread(target=client, daemon=True) for _ in range(level.concurrency)]
        started = time.perf_counter()
        try:
            for thread in clients:
                thread.start()
            for thread in clients:
                while thread.is_alive():  # in short waits, as Ctrl-C does not end a join
                    thread.join(0.5)
        finally:
            stop.set()
            with lock:
                level.elapsed = time.perf_counter() - started
            pool.clear()


def send(pool: urllib3.PoolManager, url: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the kind of error ("" when it was answered) and the answer of one request."""
    try:
        response = pool.request("POST", url, body=body, headers={"Content-Type": "application/json"})
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__, {}
    if response.status != 200:
        return f"HTTP {response.status}", {}
    try:
        answer = json.loads(response.data)
    except ValueError:
        return "no JSON", {}
    return ("", answer) if isinstance(answer, dict) else ("no JSON object", {})


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the least of `values` that at least `percent` % do not exceed."""
    rank = math.ceil(round(percent * len(values) / 100, 9))  # rounded, or 99.9 % of 1000 were rank 1000
    return sorted(values)[max(rank, 1) - 1]


def summary(level: Level) -> dict[str, Any]:
    """Return a level's figures for the report, in requests, seconds and requests a second."""
    answered, failed = len(level.latencies), sum(level.errors.values())
    figures: dict[str, Any] = {
        "concurrency": level.concurrency,
        "requests": answered + failed,
        "errors": dict(level.errors.most_common()),
        "seconds": level.elapsed,
        "throughput": answered / level.elapsed if level.elapsed else 0.0,
    }
    if answered:
        cold = sum(seconds > 0 for seconds in level.timings["t_load_model"])
        figures["cold_starts"] = cold / answered
        figures["latency"] = _distribution(level.latencies)
        figures["server"] = {name: _distribution(values) for name, values in level.timings.items() if values}
    return figures


def _distribution(values: Sequence[float]) -> dict[str, float]:
    ranks = {f"p{percent:g}": percentile(values, percent) for percent in PERCENTILES}
    return {"mean": sum(values) / len(values), **ranks, "max": max(values)}


def table(levels: Sequence[dict[str, Any]]) -> str:
    """Return the figures for people, latencies in milliseconds."""
    columns = ["mean", *(f"p{percent:g}" for percent in PERCENTILES)]
    head = ["clients", "requests/s", *columns, "server", "cold", "errors"]
    rows = [head]
    for level in levels:
        latency = level.get("latency")
        server = level.get("server", {}).get("t_overall")
        rows.append(
            [
                str(level["concurrency"]),
                f"{level['throughput']:.1f}",
                *(f"{1e3 * latency[name]:.1f}" if latency else "-" for name in columns),
                f"{1e3 * server['p50']:.1f}" if server else "-",
                f"{level['cold_starts']:.1%}" if latency else "-",
                ", ".join(f"{count} {kind}" for kind, count in level["errors"].items()) or "0",
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(lines) + "\n\nlatencies in ms; server: median of the function's own t_overall"


def plot(levels: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draw latency against the number of clients, and throughput beside it, into an SVG or PNG file."""
    answered = [level for level in levels if "latency" in level]
    clients = [level["concurrency"] for level in answered]
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name in ("p99.9", "p99", "p90", "p50"):
        left.plot(clients, [1e3 * level["latency"][name] for level in answered], marker="o", label=name)
    server = [1e3 * level["server"]["t_overall"]["p50"] for level in answered if "t_overall" in level["server"]]
    if len(server) == len(clients):
        left.plot(clients, server, linestyle=":", color="black", label="inside the function, p50")
    left.set(xscale="log", yscale="log", xlabel="clients at once", ylabel="latency, ms")
    left.legend(fontsize="small")
    right.plot(clients, [level["throughput"] for level in answered], marker="o")
    right.set(xscale="log", xlabel="clients at once", ylabel="requests a second", ylim=0)
    for axes in (left, right):
        axes.set_xticks(clients, [str(number) for number in clients])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize="medium")
    save(figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL", help="the endpoint, as deploy.py printed it")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="what to ask, in one of the forms above"
    )
    parser.add_argument(
        "--concurrency", type=positive, nargs="+", default=[1], metavar="N", help="clients (default: 1)"
    )
    parser.add_argument("--requests", type=positive, default=200, metavar="M", help="for each N (default: 200)")
    parser.add_argument("--timeout", type=float, default=30, metavar="S", help="seconds for a request (default: 30)")
    parser.add_argument("--report", metavar="FILE", help="write all figures as JSON, - for stdout instead of the table")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw latency against clients, .svg or .png")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"{options.url} is not a URL; give the endpoint, http://… or https://…")
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
        plot(figures, options.plot, f"{options.requests} requests each")
    if not answered and not interrupted:
        errors = ", ".join(
            f"{count} {kind}" for kind, count in sum((level.errors for level in levels), Counter()).items()
        )
        raise CommandError(f"no request was answered: {errors}")
    return 130 if interrupted else 0


if __name__ == "__main__":
    run(main)
