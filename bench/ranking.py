"""Time one request with 100 candidates, or 100 sentences, against 100 requests with one; the scores must be the same.

    SERVERLESS_INFERENCE_DATA=data python bench/ranking.py > bench/results/ranking.md

Without cache, single requests read their words anew each; with it, every word was read before. It is the function's own
time: 100 requests also pay 100 trips through the gateway, which are not in these figures. `bench/stub_server.py` stands
in for DynamoDB.
"""

import json
import sys
from functools import partial
from typing import Any

import numpy as np
import workload
from stub_server import stub_server

import kim_handler
import sm_handler

CANDIDATES, ROUNDS = 100, 9


def scores(answer: Any) -> np.ndarray:
    """Return the logits of an answer, (candidates, classes) or (classes,)."""
    body = json.loads(answer["body"])
    return np.array(body["score"] if "score" in body else body["output"])


def main() -> None:
    """Measure; print the table."""
    question = workload.pairs()[0][0]
    answers = (list(dict.fromkeys(answer for _, answer in workload.pairs())) * CANDIDATES)[:CANDIDATES]
    texts = (workload.sentences() * CANDIDATES)[:CANDIDATES]
    ranking = [{"sent1": question, "sent2": answer} for answer in answers], {"sent1": question, "sent2": answers}
    listing = [{"input": text} for text in texts], {"input": texts}
    cases = {
        "SM-CNN 50-d": (sm_handler, 50, ranking),
        "Kim CNN 50-d": (kim_handler, 50, listing),
        "Kim CNN 300-d": (kim_handler, 300, listing),
    }
    rows = []
    with stub_server():
        for name, (handler, dim, (alone, together)) in cases.items():
            print(name, file=sys.stderr)
            model = workload.model(handler.__name__.replace("handler", "cnn"), dim)
            for cache, size in (("no", 0), ("yes", 100_000)):
                call = workload.prepare(handler, model, f"{dim}-float32", size)
                apart = np.stack([scores(call(fields)) for fields in alone])
                difference = np.abs(apart - scores(call(together))).max()
                single_calls = [partial(call, fields) for fields in alone]
                singles = CANDIDATES * workload.measure({"": single_calls}, ROUNDS)[""][0]
                # A long call meets the machine's other work in most rounds: give it as many tries as calls.
                batch = workload.measure({"": [partial(call, together)]}, ROUNDS * 10)[""][0]
                rows.append(
                    [
                        name,
                        cache,
                        f"{1e3 * singles:.1f}",
                        f"{1e3 * batch:.2f}",
                        f"{batch / singles:.3f}",
                        f"{difference:.0e}",
                    ]
                )
    print(
        f"Milliseconds of CPU time, {workload.source()}; Kim CNN 300-d has random weights. Goal: a ratio under 0.2.\n"
    )
    head = ["", "cache", f"{CANDIDATES} requests", f"one with {CANDIDATES}", "ratio", "largest difference of a score"]
    print(workload.table(head, rows))


if __name__ == "__main__":
    main()
