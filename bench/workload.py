"""What the benchmarks of requests share: sentences, models, functions to call, clocks.

The sentences are those of the dev sets (TrecQA raw-dev, SST-1 dev) when SERVERLESS_INFERENCE_DATA names their folder,
otherwise the project's demo sentences, each with the next as its answer. `stub_server.py` stands in for DynamoDB.
"""

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# One processor, as a function of 1,769 MB has; before numpy and torch start their threads.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

from inference import model_file
from inference.dynamodb import read_client
from inference.gateway import http_handler
from inference.model_file import Model
from inference.service import Predict, Service
from inference.settings import Settings
from inference.word_vectors import WordVectors

ROOT = Path(__file__).resolve().parents[1]
DATA = os.environ.get("SERVERLESS_INFERENCE_DATA")
Fields = dict[str, Any]


def source() -> str:
    """Return where the sentences come from, for a table's caption."""
    return "dev sentences of TrecQA and SST-1" if DATA else "the project's demo sentences"


def pairs() -> list[tuple[str, str]]:
    """Return questions with an answer each, in the order of the data."""
    if DATA:
        folder = Path(DATA) / "trecqa/raw-dev"
        questions, answers = ((folder / name).read_text("utf-8").splitlines() for name in ("a.toks", "b.toks"))
        return list(zip(questions, answers, strict=True))
    return list(itertools.pairwise(_demo()))


def sentences() -> list[str]:
    """Return sentences to classify."""
    if DATA:
        lines = (Path(DATA) / "sst/stsa.fine.dev.tsv").read_text("utf-8").splitlines()
        return [line.partition("\t")[2] for line in lines]
    return _demo()


def _demo() -> list[str]:
    return (ROOT / "data/demo_sentences.txt").read_text("utf-8").splitlines()


def committed(predict: Predict) -> Model:
    """Return the project's own model, which has 50 dimensions."""
    return predict.load(ROOT / f"{predict.ARCHITECTURE}.model")


def random_weights(predict: Any, **sizes: int) -> Model:
    """Return a model like the project's, but of other sizes and with random weights: only its speed counts."""
    model = committed(predict)
    config = {**model.config, **sizes}
    return model_file.from_module(predict.build(config).eval(), config, model.overlap)


def function(
    predict: Predict, model: Model, table: str, cache_size: int, vectors: Any = None
) -> Callable[[Fields], dict[str, Any]]:
    """Return a Lambda function that answers a request's fields from `table`, or from `vectors` in its place.

    Its log goes nowhere, and it takes more words than by default.
    """
    settings, log = Settings(max_distinct_words=10_000), Path(os.devnull).open("w")  # noqa: SIM115  until the end
    vectors = vectors or WordVectors(read_client, table, model.vector_length, cache_size)
    handler = http_handler(Service(predict, model, vectors, settings).answer, settings)

    def call(fields: Fields) -> dict[str, Any]:
        with contextlib.redirect_stdout(log):
            answer = handler({"body": json.dumps(fields)}, None)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])
        return answer

    return call


def measure(ways: Mapping[str, Sequence[Callable[[], Any]]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return mean (CPU, wall) milliseconds of each way's calls; the ways take turns, after a round that does not count.

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
    return {name: (1e3 * float(cpu.mean()), 1e3 * float(wall.mean())) for name, (cpu, wall) in least.items()}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
