"""Measure what hot words do: cold start, memory and dollars for none, 10,000, 50,000, 100,000 and all of GloVe.

    python bench/hot_words.py build/onnx/*.zip build/torch/*.zip --vectors glove.6B.50d.txt bench/results

Packages are built without hot words, for this machine's Python, in a folder named as their runtime; each number of hot
words is written into a copy. The rounds start each copy with frequent words alone, and with one more that no package
holds, beside `import boto3` and a client. Times are CPU time of all threads, the least of the rounds: that is what a
start takes on one vCPU, which is what 1,769 MB bring, and other work on the machine adds little to it. Memory is the
peak of a process that has answered 300 dev sentences.

Dollars are those of utils/estimate_cost.py per million requests of the dev sets, in containers of 100, from
bench/results/durations.json: its start, times the ratio that was measured here with a rare word.
SERVERLESS_INFERENCE_DATA names the folder of the dev sets. Writes hot_words.md and hot_words.svg.
"""

import json
import os
import random
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from cold_start import FLOORS, Event, run_code, start, with_tail
from stub_server import stub_server
from tqdm import tqdm
from workload import table

from inference.hot_words import FOLDER, HotWords
from toolkit import cli
from toolkit.plot import WIDTH, pyplot, readable, save
from toolkit.request_cost import Way, per_request
from toolkit.traffic import Fields, Reads, read_requests, replay
from toolkit.vectors import hot_words
from toolkit.vectors.file import VectorFile

NUMBERS = (0, 10_000, 50_000, 100_000, 400_000)  # the last is all of GloVe 6B
LIFE, CACHE = 100, 10_000  # requests of a container, words that it keeps
FREQUENT: dict[str, Event] = {
    "sm_cnn": {"sent1": "what is the capital of france", "sent2": "paris is the capital and largest city of france"},
    "kim_cnn": {"input": "this is a very good movie"},
}
DEV = {"sm_cnn": "trecqa/raw-dev", "kim_cnn": "sst/stsa.fine.dev.tsv"}
NAMES = {"sm_cnn": "SM-CNN", "kim_cnn": "Kim CNN"}
DURATIONS = Path(__file__).with_name("results") / "durations.json"
HEAD = (
    "model, runtime",
    "hot words",
    "words in the package",
    "requests without a read",
    "words read per million",
    "cold, frequent words, s",
    "÷ boto3 client",
    "cold, one rare word, s",
    "÷ none",
    "MB",
    "$, HTTP API",
    "$, function URL",
)
Case = tuple[str, str, int]  # model, runtime, hot words


def unzip(package: Path, folder: Path) -> None:
    """Unzip a package that has no hot words."""
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    if (folder / FOLDER).exists():
        raise cli.CommandError(f"{package} has hot words; build it without --vectors")


def measure(folders: dict[Case, Path], words: Path, rounds: int, memory: dict[str, list[Fields]]) -> dict[Case, Any]:
    """Return, for each case, seconds and megabytes; under (“”, “”, 0) the seconds of boto3 and a client alone."""
    runs: dict[Case, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with stub_server():
        for counted in tqdm(range(-1, rounds), disable=None, unit="round"):
            floor = run_code(FLOORS["boto3 client"])["CPU"]
            if counted >= 0:
                runs["", "", 0]["client"].append(floor)
            for case, folder in folders.items():
                model, _, number = case
                link = folder / FOLDER
                if number:
                    link.symlink_to(words / str(number))
                figures = {
                    "frequent": start(folder, [FREQUENT[model]])["CPU"],
                    "tail": start(folder, [with_tail(FREQUENT[model])])["CPU"],
                }
                if counted == 0:
                    figures["MB"] = start(folder, [FREQUENT[model], *memory[model]])["MB"]
                link.unlink(missing_ok=True)
                for name, value in figures.items() if counted >= 0 else ():
                    runs[case][name].append(value)
    return {case: {name: min(values) for name, values in each.items()} for case, each in runs.items()}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw Kim CNN's dollars and cold starts against the number of hot words."""
    with readable():
        figure, (dollars, seconds) = pyplot().subplots(2, 1, figsize=(WIDTH, 7.2), layout="constrained", sharex=True)
        for place, runtime in enumerate(sorted({row["runtime"] for row in rows})):
            shown = [row for row in rows if (row["model"], row["runtime"]) == ("kim_cnn", runtime)]
            lines = [
                (dollars, "api", f"{runtime}, HTTP API", f"C{place}", "-"),
                (dollars, "url", f"{runtime}, function URL", f"C{place}", "--"),
                (seconds, "frequent", "", f"C{place}", "-"),  # the lines are too close for a name each
                (seconds, "tail", f"{runtime}; dashed: one rare word", f"C{place}", "--"),
            ]
            for axes, field, name, colour, style in lines:
                values = [row[field] for row in shown]
                axes.plot(range(len(values)), values, style, color=colour, marker="o", markersize=3)
                offset = 11 if field == "tail" or runtime == "torch" else -18
                axes.annotate(
                    name,
                    (len(values) - 1, values[-1]),
                    (0, offset),
                    textcoords="offset points",
                    ha="right",
                    color=colour,
                )
        dollars.set(title="Kim CNN: dollars per million requests", ylim=(0, None))
        dollars.yaxis.set_major_formatter("${x:.2f}")
        top = 1.3 * max(row["tail"] for row in rows)
        seconds.set(title="CPU seconds of a cold start", ylim=(0, top), xlabel="hot words in the package")
        seconds.set_xticks(range(len(NUMBERS)), ["none", *(f"{number:,}" for number in NUMBERS[1:-1]), "all"])
        save(figure, path)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "packages", nargs="+", type=Path, metavar="ZIP", help="packages without hot words, RUNTIME/MODEL.zip"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for hot_words.md and hot_words.svg")
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE", help="GloVe, most frequent words first")
    parser.add_argument("--rounds", type=int, default=5, help="starts of each that count (default: 5)")
    options = parser.parse_args()
    if (data := os.environ.get("SERVERLESS_INFERENCE_DATA")) is None:
        raise cli.CommandError("SERVERLESS_INFERENCE_DATA does not name the folder of the dev sets")
    durations = json.loads(DURATIONS.read_text("utf-8"))
    requests = {model: read_requests(Path(data) / dev) for model, dev in DEV.items()}
    for each in requests.values():
        random.Random(0).shuffle(each)
    memory = {model: each[:300] for model, each in requests.items()}
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as temporary:
        words = Path(temporary) / "hot"
        words.mkdir()
        reads: dict[tuple[str, int], tuple[Reads, Reads]] = {}
        for number in NUMBERS:
            hot = None
            if number:
                arrays = hot_words.choose(VectorFile(options.vectors), number, "float32")
                hot_words.write(words / str(number), *arrays, options.vectors)
                hot = HotWords(*arrays, {})
            for model in DEV:
                reads[model, number] = (replay(requests[model], 1, 0, hot), replay(requests[model], LIFE, CACHE, hot))
        folders: dict[Case, Path] = {}
        for package in options.packages:
            folder = Path(temporary) / package.parent.name / package.stem
            unzip(package, folder)
            folders |= {(package.stem, package.parent.name, number): folder for number in NUMBERS}
        measured = measure(folders, words, options.rounds, memory)
    load.append(os.getloadavg()[0])
    client = measured["", "", 0]["client"]
    rows: list[dict[str, Any]] = []
    for (model, runtime, number), figures in measured.items():
        if not model:
            continue
        alone, cached = reads[model, number]
        slower = figures["tail"] / measured[model, runtime, 0]["tail"]
        timed = durations["packages"][runtime]
        timed = {**timed, "start_seconds": timed["start_seconds"] * slower}
        parts = per_request({**durations, "packages": {runtime: timed}}, runtime, cached, LIFE, False)
        way = Way(runtime, False, True, parts)
        row = {"model": model, "runtime": runtime, "number": number, "slower": slower, **figures}
        rows.append(row | {"api": 1e6 * way.dollars, "url": 1e6 * way.url_dollars, "alone": alone, "cached": cached})
    lines: list[list[str]] = [
        [
            f"{NAMES[row['model']]}, {row['runtime']}",
            "all" if row["number"] == NUMBERS[-1] else f"{row['number']:,}",
            f"{row['alone'].hit_rate:.1%}",
            f"{1 - row['alone'].reading:.1%}",
            f"{1e6 * row['cached'].words * (1 - row['cached'].hit_rate):,.0f}",
            f"{row['frequent']:.3f}",
            f"{row['frequent'] / client:.2f}",
            f"{row['tail']:.3f}",
            f"{row['slower']:.2f}",
            f"{row['MB']:.0f}",
            f"{row['api']:.2f}",
            f"{row['url']:.2f}",
        ]
        for row in rows
    ]
    text = (
        f"`import boto3` and a client alone: {client:.3f} s. Load of the machine, two processors: "
        f"{' to '.join(f'{each:.1f}' for each in load)}. Least of {options.rounds} rounds.\n\n{table(HEAD, lines)}\n"
    )
    (options.folder / "hot_words.md").write_text(text, "utf-8")
    print(text)
    draw(rows, options.folder / "hot_words.svg")
    return 0


if __name__ == "__main__":
    cli.run(main)
