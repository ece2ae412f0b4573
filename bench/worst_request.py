"""What the largest requests that the limits let through cost: seconds, and the peak of memory.

Multichannel models of 300 dimensions, vectors from a server on this machine that answers at once, one thread. The
limits themselves are the environment variables of the gateway.

Example:
  python bench/worst_request.py sm_cnn
"""

import argparse
import base64
import http.server
import json
import multiprocessing
import os
import resource
import time
from multiprocessing.connection import Connection
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
                  AWS_DEFAULT_REGION="us-east-1")  # fmt: skip

import numpy as np

import kim_handler
import sm_handler
from inference import gateway, model_file
from inference.dynamodb import dynamodb_client
from inference.word_vectors import WordVectors, encode_vector

DIM, CHANNELS = 300, 2
VECTOR = base64.b64encode(encode_vector(np.linspace(-1, 1, DIM * CHANNELS, dtype=np.float32))["B"]).decode()


class Table(http.server.BaseHTTPRequestHandler):
    """A DynamoDB that has every word."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer BatchGetItem."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ((table, wanted),) = request["RequestItems"].items()
        items = [{"word": key["word"], "vector": {"B": VECTOR}} for key in wanted["Keys"]]
        content = json.dumps({"Responses": {table: items}, "UnprocessedKeys": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(connection: Connection) -> None:
    """Serve the table on a free port, which is sent through `connection`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Table)
    connection.send(server.server_port)
    server.serve_forever()


def words(count: int, first: int = 0) -> str:
    """Return so many distinct short words."""
    return " ".join(np.base_repr(46_656 + number, 36).lower() for number in range(first, first + count))


def requests() -> dict[str, list[str]]:
    """Return the texts of the largest requests, by name."""
    sentences, longest = gateway.MAX_SENTENCES, gateway.MAX_WORDS
    each = gateway.MAX_BODY_BYTES // sentences // 5 - 5  # four letters and a space; the rest is JSON
    return {
        "most distinct words": [words(min(each, longest), each * row) for row in range(sentences)],
        "all as long as may be": ["a " * longest] * sentences,
        "one long, the others short": [words(longest), *["a"] * (sentences - 1)],
    }


def main() -> None:
    """Measure every request, each on a cold cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["sm_cnn", "kim_cnn"])
    model = parser.parse_args().model
    handler = sm_handler if model == "sm_cnn" else kim_handler
    config = {**handler.MODEL.config, "dim": DIM, "channels": CHANNELS}
    module = model_file.build(model, config).eval()
    handler.MODEL = model_file.serve(module, config, handler.MODEL.overlap)
    receiver, sender = multiprocessing.Pipe()
    table = multiprocessing.get_context("spawn").Process(target=serve, args=(sender,), daemon=True)
    table.start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{receiver.recv()}"
    print(f"{model}: {peak():.0f} MB before the first request")
    for name, texts in requests().items():
        handler.VECTORS = WordVectors(dynamodb_client(), "words", DIM * CHANNELS, 10_000)
        fields = {"input": texts} if model == "kim_cnn" else {"sent1": words(200, 40_000), "sent2": texts}
        body = json.dumps(fields)
        started, cpu = time.perf_counter(), time.process_time()
        answer = handler.handler({"body": body}, None)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        print(
            f"{name}: {len(body):,} bytes, {answer['statusCode']}, {seconds:.2f} s ({cpu:.2f} s of CPU), "
            f"answer of {len(answer['body']):,} bytes, peak {peak():.0f} MB"
        )


def peak() -> float:
    """Return the peak of this process's memory in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
