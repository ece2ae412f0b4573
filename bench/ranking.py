"""Time one request with 100 texts beside 100 requests with one, and compare their scores.

    SERVERLESS_INFERENCE_DATA=data python bench/ranking.py > bench/results/ranking.md

Without the cache, each single request reads its words anew; with it, every word was read before. The times are the
function's own: 100 requests also take 100 trips through the gateway.
"""

import json
import sys
from functools import partial
from typing import Any

import numpy as np
import workload
from stub_server import stub_server

import kim_cnn.predict
import sm_cnn.predict
from inference.model_file import Model
from inference.service import Predict

TEXTS, ROUNDS = 100, 5


def scores(answer: dict[str, Any]) -> np.ndarray:
    """Return the logits of an answer, (texts, classes)."""
    body = json.loads(answer["body"])
    return np.atleast_2d(body["score"] if "score" in body else body["output"])


def main() -> None:
    """Measure; print the table."""
    question = workload.pairs()[0][0]
    answers = (list(dict.fromkeys(answer for _, answer in workload.pairs())) * TEXTS)[:TEXTS]
    texts = (workload.sentences() * TEXTS)[:TEXTS]
    ranking = [{"sent1": question, "sent2": each} for each in (*answers, answers)]
    listing = [{"input": each} for each in (*texts, texts)]
    cases: dict[str, tuple[Predict, Model, list[dict[str, Any]]]] = {
        "SM-CNN 50-d": (sm_cnn.predict, workload.committed(sm_cnn.predict), ranking),
        "Kim CNN 50-d": (kim_cnn.predict, workload.committed(kim_cnn.predict), listing),
        "Kim CNN 300-d": (kim_cnn.predict, workload.random_weights(kim_cnn.predict, dim=300), listing),
    }
    rows = []
    with stub_server():
        for name, (predict, model, (*alone, together)) in cases.items():
            print(name, file=sys.stderr)
            for cache, size in (("no", 0), ("yes", 100_000)):
                call = workload.function(predict, model, f"{model.vector_length}-float32", size)
                difference = np.abs(np.concatenate([scores(call(f)) for f in alone]) - scores(call(together))).max()
                singles = TEXTS * workload.measure({"": [partial(call, fields) for fields in alone]}, ROUNDS)[""][0]
                # A long call meets the machine's other work in most rounds: it gets more tries.
                batch = workload.measure({"": [partial(call, together)]}, ROUNDS * 10)[""][0]
                figures = f"{singles:.1f}", f"{batch:.2f}", f"{batch / singles:.3f}", f"{difference:.0e}"
                rows.append([name, cache, *figures])
    print(f"Milliseconds of CPU time, {workload.source()}; Kim CNN 300-d has random weights.\n")
    head = ["", "cached", f"{TEXTS} requests", f"one with {TEXTS}", "ratio", "largest difference of a score"]
    print(workload.table(head, rows))


if __name__ == "__main__":
    main()
