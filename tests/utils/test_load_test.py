"""The load test: what it sends, what it counts, and its percentiles."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port
from toolkit.cli import CommandError
from utils.load_test import distribution, main, plot


@contextmanager
def service(answers: Any) -> Iterator[tuple[str, list[Any]]]:
    """A model that answers the n-th request with `answers(n)`, (status, body); yields its URL and what it was asked."""
    asked: list[Any] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                asked.append(fields)
                number = len(asked)
            status, body = answers(number)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/kim_cnn", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def served(number: int, t_load_model: float = 0.0) -> tuple[int, bytes]:
    return 200, json.dumps({"t_overall": 0.25, "t_inference": 0.125, "t_load_model": t_load_model}).encode()


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text("a good movie\na bad one\n")
    return path


@pytest.mark.parametrize(("count", "rank"), [(1000, 999), (999, 999), (100, 100), (3, 3)])
def test_p999_is_the_nearest_rank(count: int, rank: int) -> None:
    assert distribution(range(1, count + 1))["p99.9"] == rank


def test_percentiles_are_values_that_were_measured() -> None:
    assert distribution([4, 1, 3, 2]) == {"mean": 2.5, "p50": 2, "p90": 4, "p99": 4, "p99.9": 4, "max": 4}


def test_each_request_is_counted_once_with_errors_by_kind(sentences: Path, tmp_path: Path, capsys: Any) -> None:
    def answers(number: int) -> tuple[int, bytes]:
        if number <= 3:
            return 503, b"{}"
        if number == 4:
            return 200, b"<html>"
        return served(number, t_load_model=1.5 if number == 5 else 0.0)

    with service(answers) as (url, asked):
        arguments = [url, "--data", str(sentences), "--concurrency", "1", "4", "--requests", "20", "--quiet"]
        assert main([*arguments, "--report", str(tmp_path / "report.json"), "--plot", str(tmp_path / "plot.svg")]) == 0
    assert len(asked) == 40
    assert asked[:3] == [{"input": "a good movie"}, {"input": "a bad one"}, {"input": "a good movie"}]
    first, second = json.loads((tmp_path / "report.json").read_text())["levels"]
    assert first["errors"] == {"HTTP 503": 3, "no JSON": 1}
    assert first["requests"] == second["requests"] == 20
    assert first["cold_starts"] == 1 / 16
    assert second["cold_starts"] == 0
    assert second["errors"] == {}
    assert first["server"]["t_overall"]["p50"] == 0.25
    assert second["throughput"] == pytest.approx(20 / second["seconds"])
    assert list(second["latency"].values())[1:] == sorted(list(second["latency"].values())[1:])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == "clients requests/s mean p50 p90 p99 p99.9 server cold errors".split()
    assert lines[1].endswith("3 HTTP 503, 1 no JSON")
    assert (tmp_path / "plot.svg").read_text().lstrip().startswith("<?xml")


def test_as_many_requests_are_under_way_as_there_are_clients(sentences: Path) -> None:
    together = threading.Barrier(4, timeout=10)  # passes only when four requests are under way at the same time

    def meet(number: int) -> tuple[int, bytes]:
        together.wait()
        return served(number)

    with service(meet) as (url, _):
        assert main([url, "--data", str(sentences), "--concurrency", "4", "--requests", "8", "--quiet"]) == 0


def test_latency_is_what_the_client_waited(sentences: Path, capsys: Any) -> None:
    def slowly(number: int) -> tuple[int, bytes]:
        time.sleep(0.05)
        return served(number)

    with service(slowly) as (url, _):
        main([url, "--data", str(sentences), "--requests", "4", "--quiet", "--report", "-"])
    latency = json.loads(capsys.readouterr().out)["levels"][0]["latency"]
    assert latency["p50"] >= 0.05
    assert latency["mean"] >= 0.05


def test_a_service_that_is_not_there_is_one_line(sentences: Path, capsys: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match="no request was answered: 3 NewConnectionError"):
        main([url, "--data", str(sentences), "--requests", "3", "--quiet"])


@pytest.mark.parametrize("arguments", [["--concurrency", "0"], ["--requests", "-1"]])
def test_bad_usage_exits_with_2(arguments: list[str], sentences: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["http://localhost", "--data", str(sentences), *arguments])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["localhost", "--data", str(sentences)])
    assert caught.value.code == 2
    assert "is not a URL" in capsys.readouterr().err


def test_a_plot_leaves_out_levels_without_an_answer(tmp_path: Path) -> None:
    latency = {"p50": 0.1, "p90": 0.1, "p99": 0.1, "p99.9": 0.1}
    levels = [
        {"concurrency": 1, "throughput": 9.0, "latency": latency, "server": {}},
        {"concurrency": 2, "throughput": 0.0, "errors": {"HTTP 500": 1}},
    ]
    plot(levels, tmp_path / "plot.svg", "half")
    assert "clients at once" in (tmp_path / "plot.svg").read_text()
