"""Time a warm request inside the function, CPU and wall, beside what can't be avoided.

    SERVERLESS_INFERENCE_DATA=data python bench/warm_request.py > bench/results/warm_request.md

The rows: as in 2018 (a plain boto3 client, list items, decoded number by number, no cache), then items in each format
without the cache, then every word cached. The floors: a BatchGetItem of the same words through a plain boto3 client,
whose answer nobody reads, and the forward pass on arrays that are ready. The rows differ in the vectors alone: event,
tokens, overlap features, forward pass and answer are the same.
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import boto3
import numpy as np
import workload
from stub_server import stub_server

import kim_cnn.predict
import sm_cnn.predict
from inference.model_file import Model
from inference.service import Predict
from inference.settings import Settings
from inference.tokenizer import tokenize

REQUESTS, ROUNDS = 50, 11


class VectorsOf2018:
    """Vectors as the functions of 2018 read them: lists, anew for every request, number by number and word by word."""

    def __init__(self, table: str, length: int):
        """Read `table`."""
        self.client, self.table, self.length = boto3.client("dynamodb"), table, length

    def lookup(self, words: Iterable[str], deadline: float, *_: Any) -> dict[str, np.ndarray]:
        """Return the vector of each distinct word."""
        sequence = list(words)
        keys = [{"word": {"S": word}} for word in dict.fromkeys(sequence)]
        numbers = {}
        for start in range(0, len(keys), 100):
            answer = self.client.batch_get_item(RequestItems={self.table: {"Keys": keys[start : start + 100]}})
            for item in answer["Responses"][self.table]:
                numbers[item["word"]["S"]] = item["vector"]["L"]
        matrix = np.empty((0, self.length))
        for word in sequence:
            vector = np.array([float(number["N"]) for number in numbers[word]])
            matrix = np.append(matrix, vector.reshape(1, -1), axis=0)
        return dict(zip(sequence, matrix.astype(np.float32), strict=True))


def ways(predict: Predict, model: Model, requests: list[dict[str, str]]) -> dict[str, list[Callable[[], Any]]]:
    """Return what to time, a call for each of `requests`."""
    dim = model.vector_length
    sentences = [predict.read(fields, tokenize, Settings()).sentences for fields in requests]
    words = [list(dict.fromkeys(word for sentence in each for word in sentence)) for each in sentences]

    client = boto3.client("dynamodb")
    keys = [{f"{dim}-float32": {"Keys": [{"word": {"S": word}} for word in each]}} for each in words]
    vectors = {word: np.random.default_rng(0).normal(size=dim).astype(np.float32) for each in words for word in each}
    inputs = [next(predict.batches(model, each, vectors))[1] for each in sentences]

    def each_request(table: str, cache_size: int, vectors: Any = None) -> list[Callable[[], Any]]:
        call = workload.function(predict, model, table, cache_size, vectors)
        return [partial(call, fields) for fields in requests]

    return {
        "as in 2018": each_request("", 0, VectorsOf2018(f"{dim}-list", dim)),
        "list items, no cache": each_request(f"{dim}-list", 0),
        "float32, no cache": each_request(f"{dim}-float32", 0),
        "float16, no cache": each_request(f"{dim}-float16", 0),
        "every word cached": each_request(f"{dim}-float32", 100_000),
        "floor: bare BatchGetItem": [partial(client.batch_get_item, RequestItems=each) for each in keys],
        "floor: bare forward pass": [partial(model.forward, each) for each in inputs],
    }


def main() -> None:
    """Measure; print the tables."""
    pairs = [{"sent1": question, "sent2": answer} for question, answer in workload.pairs()[::7][:REQUESTS]]
    sentences = [{"input": sentence} for sentence in workload.sentences()[::7][:REQUESTS]]
    cases = {
        "SM-CNN 50-d": (sm_cnn.predict, workload.committed(sm_cnn.predict), pairs),
        "Kim CNN 50-d": (kim_cnn.predict, workload.committed(kim_cnn.predict), sentences),
        "Kim CNN 300-d": (kim_cnn.predict, workload.random_weights(kim_cnn.predict, dim=300), sentences),
    }
    measured = {}
    with stub_server():
        for name, case in cases.items():
            print(name, file=sys.stderr)
            measured[name] = workload.measure(ways(*case), ROUNDS)
    print(f"Milliseconds per request, CPU (wall), {workload.source()}; Kim CNN 300-d has random weights.\n")
    rows = [
        [way, *(f"{measured[name][way][0]:.3f} ({measured[name][way][1]:.3f})" for name in cases)]
        for way in measured["SM-CNN 50-d"]
    ]
    print(workload.table(["", *cases], rows))
    ratios = [["no cache ÷ both floors"], ["as in 2018 ÷ no cache"], ["cached ÷ forward pass"]]
    for times in measured.values():
        cpu = {way: time for way, (time, _) in times.items()}
        read, forward = cpu["floor: bare BatchGetItem"], cpu["floor: bare forward pass"]
        ratios[0].append(f"{cpu['float32, no cache'] / (read + forward):.2f}")
        ratios[1].append(f"{cpu['as in 2018'] / cpu['float32, no cache']:.1f}")
        ratios[2].append(f"{cpu['every word cached'] / forward:.2f}")
    print(f"\nRatios of CPU time; no cache is float32.\n\n{workload.table(['', *cases], ratios)}")


if __name__ == "__main__":
    main()
