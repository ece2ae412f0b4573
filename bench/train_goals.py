"""Train each row of the results in docs/training.md over several seeds; print lowest, median and highest dev score.

    python bench/train_goals.py --data data --vectors-50d glove.6B.50d.txt.gz --vectors-300d word2vec.300d.bin
    python bench/train_goals.py --data data --vectors-50d glove.6B.50d.txt.gz --rows trecqa wikiqa --seeds 1 2

--data holds the folders `trecqa`, `wikiqa` and `sst`. Rows whose vectors are not given are left out. What is
trained, and each run's log, stays under --runs; a run that is there already is not repeated.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from toolkit import cli
from toolkit.cli import CommandError, run

ROOT = Path(__file__).resolve().parents[1]


class Row(NamedTuple):
    """A row of the table: which train.py, on which folder of --data, which vectors, what else."""

    module: str
    data: str
    vectors: str
    options: tuple[str, ...] = ()


def sst(dataset: str, mode: str, vectors: str) -> Row:
    """Return the row of a Kim CNN."""
    return Row("kim_cnn.train", "sst", vectors, ("--dataset", dataset, "--mode", mode))


ROWS = {
    "trecqa": Row("sm_cnn.train", "trecqa", "50d"),
    "trecqa-no-features": Row("sm_cnn.train", "trecqa", "50d", ("--no-features",)),
    "wikiqa": Row("sm_cnn.train", "wikiqa", "50d", ("--dataset", "wikiqa")),
    "sst-1-static-50d": sst("sst-1", "static", "50d"),
    "sst-1-non-static-50d": sst("sst-1", "non-static", "50d"),
    **{
        f"{dataset}-{mode}-300d": sst(dataset, mode, "300d")
        for dataset in ("sst-1", "sst-2")
        for mode in ("static", "non-static", "multichannel")
    },
}


def train(name: str, row: Row, seed: int, options: argparse.Namespace) -> tuple[str, float]:
    """Train a row with a seed, unless it is done already; return the last line and the seconds it took."""
    log = options.runs / f"{name}.seed{seed}.log"
    if not log.exists():
        model = log.with_suffix(".model")
        vectors = options.vectors_50d if row.vectors == "50d" else options.vectors_300d
        command = [sys.executable, "-m", row.module, "--data", options.data / row.data, "--vectors", vectors]
        command += [*row.options, "--seed", str(seed), "--output", model]
        exported = log.with_suffix(".vectors.txt")
        if {"non-static", "multichannel"} & set(row.options):
            command += ["--export-vectors", exported]
        started = time.monotonic()
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if ran.returncode:
            raise CommandError(f"{name}, seed {seed}: training failed")
        exported.unlink(missing_ok=True)  # large, and the score is known
        log.write_text(f"{ran.stdout}seconds {time.monotonic() - started:.0f}\n")
    *_, result, seconds = log.read_text().splitlines()
    return result, float(seconds.split()[1])


def main() -> int:
    """Run the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--vectors-50d", type=Path, metavar="FILE")
    parser.add_argument("--vectors-300d", type=Path, metavar="FILE")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--runs", type=Path, default=Path("build/train_goals"), metavar="DIR")
    options = parser.parse_args()
    for name in ("data", "vectors_50d", "vectors_300d", "runs"):  # training runs in the project's folder
        if getattr(options, name):
            setattr(options, name, getattr(options, name).resolve())
    options.runs.mkdir(parents=True, exist_ok=True)
    rows = [name for name in options.rows if getattr(options, f"vectors_{ROWS[name].vectors}")]
    progress = tqdm(total=len(rows) * len(options.seeds), unit="run", disable=None)
    print(f"{'row':<26} {'metric':<8}    min  median     max  seeds  seconds a run", flush=True)
    for name in rows:
        results = []
        for seed in options.seeds:
            results.append(train(name, ROWS[name], seed, options))
            progress.update()
        seconds = statistics.median(took for _, took in results)
        fields = [line.split() for line, _ in results]
        for place in range(0, len(fields[0]), 2):
            scores = [float(field[place + 1]) for field in fields]
            spread = "  ".join(f"{of(scores):.4f}" for of in (min, statistics.median, max))
            print(f"{name:<26} {fields[0][place]:<8} {spread}  {len(scores):>5}  {seconds:.0f}", flush=True)
    return 0


if __name__ == "__main__":
    run(main)
