"""What the benchmarks of requests share: sentences, models, a DynamoDB that answers at once, clocks.

The sentences are those of the dev sets (TrecQA raw-dev, SST-1 dev) when SERVERLESS_INFERENCE_DATA names their folder,
otherwise the project's demo sentences, in turn as questions and answers. Vectors are random: no time depends on their
values, but for 50-d of a list format, written with the 6 digits GloVe has.

DynamoDB is a stub, a process of its own, so that its time is not the function's; it reads what BatchGetItem sends and
answers with items of the size and format asked for, from memory.
"""

import base64
import itertools
import json
import multiprocessing
import os
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One processor, as a function of 1,769 MB has; before numpy and torch start their threads.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import numpy as np

from inference import model_file
from inference.model_file import Model
from inference.word_vectors import WordVectors, dynamodb_client, encode_vector

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


@contextmanager
def dynamodb(delay: float = 0.0) -> Iterator[str]:
    """Serve tables named `{dim}-{format}`, every word known, each answer `delay` seconds late; yield the URL."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there, delay), daemon=True)
    process.start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{here.recv()}"
    try:
        yield os.environ["AWS_ENDPOINT_URL"]
    finally:
        process.terminate()
        process.join()


def _serve(connection: Any, delay: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    connection.send(listener.getsockname()[1])
    while True:
        threading.Thread(target=_converse, args=(listener.accept()[0], delay), daemon=True).start()


def _converse(connection: socket.socket, delay: float) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection.makefile("rb") as stream:
        while stream.readline():
            length = 0
            while (header := stream.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length:"):
                    length = int(header[15:])
            body = stream.read(length)
            if body not in _ANSWERS:
                _ANSWERS[body] = _answer(json.loads(body)["RequestItems"])
            time.sleep(delay)
            connection.sendall(_ANSWERS[body])


_ANSWERS: dict[bytes, bytes] = {}
_ATTRIBUTES: dict[tuple[str, int], dict[str, Any]] = {}
DISTINCT = 64  # vectors the stub has; words share them


def _answer(requested: dict[str, Any]) -> bytes:
    ((table, wanted),) = requested.items()
    items = [{"word": key["word"], "vector": _attribute(table, key["word"]["S"])} for key in wanted["Keys"]]
    body = json.dumps({"Responses": {table: items}, "UnprocessedKeys": {}}, separators=(",", ":")).encode()
    head = (
        "HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\nx-amzn-RequestId: STUB\r\n"
        f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
    )
    return head.encode() + body


def _attribute(table: str, word: str) -> dict[str, Any]:
    key = table, zlib.crc32(word.encode()) % DISTINCT
    if key not in _ATTRIBUTES:
        dim, format = table.split("-")
        vector = np.random.default_rng(key[1]).normal(0, 0.5, int(dim)).round(5).astype(np.float32)
        attribute = encode_vector(vector, format)
        _ATTRIBUTES[key] = {"B": base64.b64encode(attribute["B"]).decode()} if "B" in attribute else attribute
    return _ATTRIBUTES[key]


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
