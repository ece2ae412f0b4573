"""Measure the durations that `utils/estimate_cost.py` reckons with, and write them as its JSON.

    python utils/export_onnx.py kim_cnn kim_cnn.model build/kim_cnn.onnx
    python bench/cold_start.py build/torch/kim_cnn.zip build/onnx/kim_cnn.zip
    python bench/durations.py --start torch=0.9 --start onnx=0.4 --onnx build/kim_cnn.onnx --read-wait 0.005 \\
        > bench/results/durations.json

Kim CNN 50-d on the dev sentences. --start is what `cold_start.py` printed as a package's `total`. The warm durations
are wall time, medians, with `bench/stub_server.py` for DynamoDB; what a real one takes longer is --read-wait,
which can't be measured here. The time after a restore is that of the hook, which makes a new client, and of a request.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import workload
from stub_server import stub_server

import kim_handler
from inference import model_file
from inference.dynamodb import dynamodb_client

REQUESTS, MEMORY_MB = 200, 1769


def seconds(call: Callable[[Any], Any], requests: list[Any]) -> float:
    """Return the median wall time of a request, once each has been sent before."""
    times = []
    for fields in requests * 2:
        started = time.perf_counter()
        call(fields)
        times.append(time.perf_counter() - started)
    return statistics.median(times[len(requests) :])


def restored(call: Callable[[Any], Any], requests: list[Any]) -> float:
    """Return the median wall time of the hook after a restore and the request after it."""
    times = []
    for fields in requests[:20]:
        started = time.perf_counter()
        kim_handler.VECTORS.client = dynamodb_client()
        call(fields)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measure; print the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", action="append", required=True, metavar="PACKAGE=SECONDS", help="torch or onnx")
    parser.add_argument("--onnx", type=Path, help="the exported model, for package onnx")
    parser.add_argument("--read-wait", type=float, required=True, metavar="S", help="seconds DynamoDB takes to answer")
    # Lambda's lines of a start and a report, and the access log's; the function itself writes only of errors.
    parser.add_argument("--log-bytes", type=int, default=900, metavar="N", help="of a request (default: 900)")
    options = parser.parse_args()
    starts = {name: float(value) for name, value in (start.split("=") for start in options.start)}
    requests = [{"input": text} for text in workload.sentences()[:REQUESTS]]
    packages = {}
    with stub_server():
        for name, start in starts.items():
            path = options.onnx if name == "onnx" else workload.ROOT / "kim_cnn.model"
            model = model_file.load(path, "kim_cnn")
            cached = seconds(workload.prepare(kim_handler, model, "50-float32", 100_000), requests)
            call = workload.prepare(kim_handler, model, "50-float32", 0)
            packages[name] = {
                "start_seconds": start,
                "restore_seconds": restored(call, requests),
                "cached_seconds": cached,
                "uncached_seconds": seconds(call, requests),
                "read_wait_seconds": options.read_wait,
                "commands": ["python bench/cold_start.py build/torch/kim_cnn.zip build/onnx/kim_cnn.zip",
                             f"python bench/durations.py {' '.join(sys.argv[1:])}"],
            }  # fmt: skip
    json.dump(
        {"memory_mb": MEMORY_MB, "dim": 50, "log_bytes": options.log_bytes, "packages": packages}, sys.stdout, indent=1
    )
    print()


if __name__ == "__main__":
    main()
