"""Requests to a deployed function: answered in order, retried when throttled, one clear error otherwise."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from toolkit.cli import CommandError
from toolkit.training.remote import post_all

Reply = Callable[[dict[str, Any]], tuple[int, Any]]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], str]]:
    """Start an HTTP server that answers each posted body by a function; return its URL."""
    servers = []

    def start(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, answer = reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_answers_come_in_order_and_all_utf_8(serve: Callable[[Reply], str]) -> None:
    url = serve(lambda fields: (200, {"echo": fields}))
    requests = [{"input": f"é {number}"} for number in range(40)]
    assert [answer["echo"] for answer in post_all(url, requests)] == requests


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_throttled_is_asked_again(serve: Callable[[Reply], str], status: int) -> None:
    seen: set[int] = set()

    def reply(fields: dict[str, Any]) -> tuple[int, Any]:
        first = fields["number"] not in seen
        seen.add(fields["number"])
        return (status, {}) if first else (200, fields)

    requests = [{"number": number} for number in range(10)]
    assert post_all(serve(reply), requests) == requests


def test_a_refusal_stops_with_what_the_service_said(serve: Callable[[Reply], str]) -> None:
    url = serve(lambda fields: (400, {"error": "sent2 is empty; send a sentence"}))
    with pytest.raises(CommandError, match=r"status 400: .*sent2 is empty"):
        post_all(url, [{}, {}])


def test_an_unreachable_endpoint_is_named() -> None:
    with pytest.raises(CommandError, match=r"http://127\.0\.0\.1:1/: no answer"):
        post_all("http://127.0.0.1:1/", [{}])
