"""What the largest requests that the limits let through cost: seconds, and the peak of memory.

Multichannel models of 300 dimensions, vectors from `stub_server.py`, one thread. The
limits themselves are the environment variables of the gateway.

Example:
  python bench/worst_request.py sm_cnn
"""

import argparse
import json
import os
import resource
import time

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from stub_server import stub_server

import kim_handler
import sm_handler
from inference import gateway, model_file
from inference.dynamodb import dynamodb_client
from inference.word_vectors import WordVectors

DIM, CHANNELS = 300, 2


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
    print(f"{model}: {peak():.0f} MB before the first request")
    with stub_server():
        for name, texts in requests().items():
            handler.VECTORS = WordVectors(dynamodb_client(), f"{DIM * CHANNELS}-float32", DIM * CHANNELS, 10_000)
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
