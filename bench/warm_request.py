"""Time a warm request inside the function, CPU and wall, against what can't be avoided.

    SERVERLESS_INFERENCE_DATA=data python bench/warm_request.py > bench/results/warm_request.md

Ways: the old one (a boto3 client as it comes, items that are lists of numbers, read number by number, no cache); binary
items without and with the cache. Floors: BatchGetItem of the same words through a boto3 client as it comes, nothing
done with the answer, and the forward pass on arrays that are ready. Everything but the vectors is the same in each way:
event, tokens, overlap features, forward pass, answer. `bench/stub_server.py` says what stands in for DynamoDB.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import numpy as np
import workload
from stub_server import stub_server

import kim_handler
import sm_handler
from inference.tokenizer import tokenize
from inference.word_vectors import embed
from sm_cnn import overlap

REQUESTS, ROUNDS = 100, 11


class OldWordVectors:
    """Vectors as the functions of 2018 read them: lists, anew for every request, number by number and word by word."""

    def __init__(self, table: str, length: int):
        """Read `table`."""
        self.client, self.table, self.length = boto3.client("dynamodb"), table, length

    def lookup(self, words: Any, deadline: float) -> dict[str, np.ndarray]:
        """Return the vector of each distinct word."""
        sentences = list(words)
        keys = [{"word": {"S": word}} for word in dict.fromkeys(sentences)]
        numbers = {}
        for start in range(0, len(keys), 100):
            answer = self.client.batch_get_item(RequestItems={self.table: {"Keys": keys[start : start + 100]}})
            for item in answer["Responses"][self.table]:
                numbers[item["word"]["S"]] = item["vector"]["L"]
        matrix = np.empty((0, self.length))
        for word in sentences:
            vector = np.array([float(number["N"]) for number in numbers[word]])
            matrix = np.append(matrix, vector.reshape(1, -1), axis=0)
        return dict(zip(sentences, matrix.astype(np.float32), strict=True))


def ways(handler: Any, dim: int, requests: list[dict[str, Any]]) -> dict[str, list[Callable[[], Any]]]:
    """Return what to time, a call for each of `requests`."""
    model = workload.model(handler.__name__.replace("handler", "cnn"), dim)
    tokens = [[tokenize(text) for text in fields.values()] for fields in requests]
    words = [list(dict.fromkeys(word for sentence in each for word in sentence)) for each in tokens]

    client = boto3.client("dynamodb")
    keys = [{f"{dim}-float32": {"Keys": [{"word": {"S": word}} for word in each]}} for each in words]
    vectors = {word: np.random.default_rng(0).normal(size=dim).astype(np.float32) for each in words for word in each}
    inputs = [[array for sentence in each for array in embed([sentence], vectors, dim)] for each in tokens]
    if model.overlap:
        for arrays, (question, answer) in zip(inputs, tokens, strict=True):
            arrays.append(overlap.features(model.overlap, question, [answer]))

    def all_requests(table: str, cache_size: int, vectors: Any = None) -> list[Callable[[], Any]]:
        call = workload.prepare(handler, model, table, cache_size, vectors)
        return [partial(call, fields) for fields in requests]

    return {
        "the old way": all_requests("", 0, OldWordVectors(f"{dim}-list", dim)),
        "lists of numbers, no cache": all_requests(f"{dim}-list", 0),
        "float32, no cache": all_requests(f"{dim}-float32", 0),
        "float16, no cache": all_requests(f"{dim}-float16", 0),
        "every word cached": all_requests(f"{dim}-float32", 100_000),
        "floor: bare BatchGetItem": [partial(client.batch_get_item, RequestItems=each) for each in keys],
        "floor: bare forward pass": [partial(model.forward, *arrays) for arrays in inputs],
    }


def main() -> None:
    """Measure; print the tables."""
    some_pairs = [{"sent1": question, "sent2": answer} for question, answer in workload.pairs()[::7][:REQUESTS]]
    some_sentences = [{"input": sentence} for sentence in workload.sentences()[::7][:REQUESTS]]
    cases = {
        "SM-CNN 50-d": (sm_handler, 50, some_pairs),
        "Kim CNN 50-d": (kim_handler, 50, some_sentences),
        "Kim CNN 300-d": (kim_handler, 300, some_sentences),
    }
    measured = {}
    with stub_server():
        for name, (handler, dim, requests) in cases.items():
            print(name, file=sys.stderr)
            times = workload.measure(ways(handler, dim, requests), ROUNDS)
            measured[name] = {way: (1e3 * cpu, 1e3 * wall) for way, (cpu, wall) in times.items()}
    print(f"Milliseconds a request, CPU (wall), {workload.source()}; Kim CNN 300-d has random weights.\n")
    rows = [
        [way, *(f"{measured[name][way][0]:.3f} ({measured[name][way][1]:.3f})" for name in cases)]
        for way in measured["SM-CNN 50-d"]
    ]
    print(workload.table(["", *cases], rows))
    goals: list[list[str]] = [[], [], []]
    for times in measured.values():
        cpu = {way: time for way, (time, _) in times.items()}
        read, forward = cpu["floor: bare BatchGetItem"], cpu["floor: bare forward pass"]
        goals[0].append(f"{cpu['float32, no cache'] / (read + forward):.2f}")
        goals[1].append(f"{cpu['the old way'] / cpu['float32, no cache']:.1f}")
        goals[2].append(f"{cpu['every word cached'] / (1.5 * forward + 0.3):.2f}")
    print("\nRatios of CPU time.\n")
    names = ["without cache ÷ both floors together", "the old way ÷ without cache", "cached ÷ (1.5 × forward + 0.3 ms)"]
    limits = ["≤ 1.5", "≥ 10", "≤ 1"]
    print(
        workload.table(["", *cases, "goal"], [[n, *g, limit] for n, g, limit in zip(names, goals, limits, strict=True)])
    )


if __name__ == "__main__":
    main()
