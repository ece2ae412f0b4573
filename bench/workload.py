"""What the benchmarks of requests share: sentences, models, handlers, clocks.

The sentences are those of the dev sets (TrecQA raw-dev, SST-1 dev) when SERVERLESS_INFERENCE_DATA names their folder,
otherwise the project's demo sentences, in turn as questions and answers. `stub_server.py` stands in for DynamoDB.
"""

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# One processor, as a function of 1,769 MB has; before numpy and torch start their threads.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

from inference import model_file
from inference.dynamodb import dynamodb_client
from inference.model_file import Model
from inference.word_vectors import WordVectors

ROOT = Path(__file__).resolve().parents[1]
DATA = os.environ.get("SERVERLESS_INFERENCE_DATA")
Request = dict[str, Any]


def source() -> str:
    """Return where the sentences come from, for a table's caption."""
    return "dev sentences of TrecQA and SST-1" if DATA else "the project's demo sentences"


def pairs() -> list[tuple[str, str]]:
    """Return questions with an answer each, as they stand in the data."""
    if DATA:
        folder = Path(DATA) / "trecqa/raw-dev"
        columns = [(folder / name).read_text(encoding="utf-8").splitlines() for name in ("a.toks", "b.toks")]
        return list(zip(*columns, strict=True))
    lines = _demo()
    return list(itertools.pairwise(lines))


def sentences() -> list[str]:
    """Return sentences to classify."""
    if DATA:
        lines = (Path(DATA) / "sst/stsa.fine.dev.tsv").read_text(encoding="utf-8").splitlines()
        return [line.partition("\t")[2] for line in lines]
    return _demo()


def _demo() -> list[str]:
    return (ROOT / "data/demo_sentences.txt").read_text(encoding="utf-8").splitlines()


def model(architecture: str, dim: int) -> Model:
    """Return the committed model when `dim` is its 50, otherwise one of random weights: only its speed counts."""
    committed = model_file.load(ROOT / f"{architecture}.model", architecture)
    if dim == committed.config["dim"]:
        return committed
    config = {**committed.config, "dim": dim}
    return model_file.serve(model_file.build(architecture, config).eval(), config, committed.overlap)


def prepare(handler: Any, served: Model, table: str, cache_size: int, vectors: Any = None) -> Callable[[Request], Any]:
    """Have the module `handler` serve a model from a table; return what takes a request's fields to its answer."""
    vectors = vectors or WordVectors(dynamodb_client(), table, served.vector_length, cache_size)

    def call(fields: Request) -> Any:
        handler.MODEL, handler.VECTORS = served, vectors
        answer = handler.handler({"body": json.dumps(fields)}, None)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        return answer

    return call


def measure(ways: dict[str, Sequence[Callable[[], Any]]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return mean (CPU, wall) seconds of each way's calls; the ways take turns, after a round that does not count.

    The machine's other work can only add to a time, so each call's estimate is the least of its `rounds`.
    """
    least = {name: np.full((2, len(calls)), np.inf) for name, calls in ways.items()}
    for counted in range(-1, rounds):
        for name, calls in ways.items():
            times = np.empty((2, len(calls)))
            for place, call in enumerate(calls):
                wall, cpu = time.perf_counter(), time.process_time()
                call()
                times[:, place] = time.process_time() - cpu, time.perf_counter() - wall
            if counted >= 0:
                np.minimum(least[name], times, out=least[name])
    return {name: (float(cpu.mean()), float(wall.mean())) for name, (cpu, wall) in least.items()}


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
