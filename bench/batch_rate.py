"""Compare a part of a batch, scored as its function does, with the bare forward passes over the same rows.

    SERVERLESS_INFERENCE_DATA=data python bench/batch_rate.py

The part has 5,000 rows of the sentences, and its words are in the cache, as in all parts of a container but its first.
CPU time of one processor, the least of some rounds.
"""

import gc
import itertools
import json
import random
from functools import partial
from typing import Any

import numpy as np
import workload
from stub_server import stub_server

import kim_cnn.predict
import sm_cnn.predict
from inference import batch
from inference.dynamodb import read_client
from inference.model_file import Model
from inference.service import Predict, Service
from inference.settings import Settings
from inference.word_vectors import WordVectors

ROWS, ROUNDS = 5000, 3


def kim_rows() -> list[list[str]]:
    """Return rows of one sentence, in random order."""
    return [[text] for text in random.Random(0).choices(workload.sentences(), k=ROWS)]


def sm_rows() -> list[list[str]]:
    """Return rows of question and answer, those of a question one after the other."""
    pairs = sorted(itertools.islice(itertools.cycle(workload.pairs()), ROWS))
    return [list(pair) for pair in pairs]


def whole(service: Service, lines: list[bytes]) -> Any:
    """Do what a function does with a part, but for S3."""
    answers, _ = batch.score(service, [json.loads(line) for line in lines])
    return "".join(json.dumps(answer) + "\n" for answer in answers)


def passes(service: Service, rows: list[list[str]]) -> list[Any]:
    """Return the arrays of the forward passes over rows."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for question, text in ((tuple(row[:-1]), row[-1]) for row in rows):
        groups.setdefault(question, []).append(text)
    found = []
    for question, texts in groups.items():
        sentences = [service.tokenizer.cut(service.tokenizer(text)) for text in (*question, *texts)]
        vectors: dict[str, np.ndarray | None] = {}
        batch.look_up(service.vectors, list({word for each in sentences for word in each}), vectors, {})
        found.append(list(service.predict.batches(service.model, sentences, vectors)))
    return found


def forward(model: Model, passes: list[Any]) -> None:
    """Make the forward passes alone."""
    for each in passes:
        model.logits(each)


def main() -> None:
    """Measure; print the table."""
    cases: dict[str, tuple[Predict, Model, list[list[str]]]] = {
        "SM-CNN 50-d": (sm_cnn.predict, workload.committed(sm_cnn.predict), sm_rows()),
        "Kim CNN 50-d": (kim_cnn.predict, workload.committed(kim_cnn.predict), kim_rows()),
    }
    table = []
    with stub_server():
        for name, (predict, model, rows) in cases.items():
            vectors = WordVectors(read_client, f"{model.vector_length}-float32", model.vector_length, 500_000, 1e9, 1e9)
            service = Service(predict, model, vectors, Settings())
            lines = [json.dumps(row).encode() for row in rows]
            bare = passes(service, rows)
            gc.freeze()  # as a function does once it has loaded its model
            ways = {
                "part": [partial(whole, service, lines)],
                "bare": [partial(forward, model, bare)],
            }
            times = {way: cpu / 1e3 for way, (cpu, _) in workload.measure(ways, ROUNDS).items()}
            characters = sum(len(text) for row in rows for text in row)
            rates = (f"{ROWS / times['part']:,.0f}", f"{ROWS / times['bare']:,.0f}")
            table.append([name, *rates, f"{times['bare'] / times['part']:.2f}", f"{characters / times['part']:,.0f}"])
    print(f"Rows a second of one processor, {workload.source()}.\n")
    head = ["", "a part", "bare forward passes", "ratio", "characters a second"]
    print(workload.table(head, table))


if __name__ == "__main__":
    main()
