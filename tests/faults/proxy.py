"""DynamoDB on a bad day: an HTTP proxy that forwards to an endpoint, or does what a fault says instead."""

import contextlib
import http.client
import itertools
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Exchange(BaseHTTPRequestHandler):
    """One connection of a client; `body` is the request that is to be answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FaultyDynamoDB"
    body: dict[str, Any]

    def setup(self) -> None:
        super().setup()
        self.connection_number = next(self.server.connections)
        self.upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)

    def finish(self) -> None:
        self.upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fault = self.server.fault(self)
        try:
            answer_rightly(self) if fault is None else fault(self)
        except OSError:  # the client has given up
            self.close_connection = True

    def forward(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and content of what the endpoint behind answers."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        self.upstream.request("POST", self.path, json.dumps(body), headers)
        answer = self.upstream.getresponse()
        return answer.status, answer.read()

    def answer(self, status: int, content: bytes, promised: int = 0, checksum: int | None = None) -> None:
        """Answer with DynamoDB's headers; `promised` further bytes never come."""
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content) + promised))
        self.send_header("x-amz-crc32", str(zlib.crc32(content) if checksum is None else checksum))
        self.end_headers()
        self.wfile.write(content)

    def error(self, status: int, code: str, message: str = "said the test") -> None:
        content = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
        self.answer(status, json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


Fault = Callable[[Exchange], None]


class FaultyDynamoDB(ThreadingHTTPServer):
    """The proxy: `fault` is asked before each answer; None is the right one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, exchange: type[BaseHTTPRequestHandler] = Exchange) -> None:
        super().__init__(("127.0.0.1", 0), exchange)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.connections = itertools.count(1)
        self.over = threading.Event()
        self.fault: Callable[[Exchange], Fault | None] = lambda exchange: None

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client that closes its connection in the middle is part of the test."""


@contextmanager
def faulty_dynamodb(upstream: str) -> Iterator[FaultyDynamoDB]:
    """Keep a proxy to the endpoint `upstream` up."""
    with FaultyDynamoDB(upstream) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()


def answer_rightly(exchange: Exchange) -> None:
    exchange.answer(*exchange.forward(exchange.body))


# What passes: another try, another second, another connection.


def throttled(exchange: Exchange) -> None:
    exchange.error(400, "ProvisionedThroughputExceededException")


def account_throttled(exchange: Exchange) -> None:
    exchange.error(400, "ThrottlingException")


def too_many_requests(exchange: Exchange) -> None:
    exchange.answer(429, b"slow down")


def internal_error(exchange: Exchange) -> None:
    exchange.error(500, "InternalServerError")


def bad_gateway(exchange: Exchange) -> None:
    exchange.answer(502, b"<html>Bad Gateway</html>")


def some_unprocessed(exchange: Exchange) -> None:
    ((table, wanted),) = exchange.body["RequestItems"].items()
    keys = wanted["Keys"]
    half = (len(keys) + 1) // 2
    status, content = exchange.forward({"RequestItems": {table: {"Keys": keys[:half]}}})
    answer = json.loads(content)
    if keys[half:]:
        answer["UnprocessedKeys"] = {table: {"Keys": keys[half:]}}
    exchange.answer(status, json.dumps(answer).encode())


def all_unprocessed(exchange: Exchange) -> None:
    answer = {"Responses": {}, "UnprocessedKeys": exchange.body["RequestItems"]}
    exchange.answer(200, json.dumps(answer).encode())


def cut_before_the_answer(exchange: Exchange) -> None:
    exchange.close_connection = True


def cut_in_the_headers(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.close_connection = True


def cut_in_the_body(exchange: Exchange) -> None:
    _, content = exchange.forward(exchange.body)
    exchange.answer(200, content[: len(content) // 2], promised=len(content) - len(content) // 2)
    exchange.close_connection = True


def reset(exchange: Exchange) -> None:
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()
    exchange.close_connection = True


def garbled(exchange: Exchange, byte: bytes = b"A") -> None:
    """One byte of a vector is another on the way; DynamoDB's checksum tells."""
    status, content = exchange.forward(exchange.body)
    place = content.rfind(b"=") - 8 if b"=" in content else 2
    wrong = content[:place] + (b"B" if content[place : place + 1] == byte else byte) + content[place + 1 :]
    exchange.answer(status, wrong, checksum=zlib.crc32(content))


def garbled_base64(exchange: Exchange) -> None:
    garbled(exchange, b"!")


def cut_json(exchange: Exchange) -> None:
    """A whole HTTP answer with half of the JSON."""
    _, content = exchange.forward(exchange.body)
    exchange.answer(200, content[: len(content) // 2])


def empty_answer(exchange: Exchange) -> None:
    exchange.answer(200, b"")


def empty_object(exchange: Exchange) -> None:
    exchange.answer(200, b"{}")


def page_of_a_stranger(exchange: Exchange) -> None:
    exchange.answer(200, b"<html>Welcome to this hotel's network</html>")


def slow(exchange: Exchange) -> None:
    time.sleep(0.1)
    answer_rightly(exchange)


def silent(exchange: Exchange) -> None:
    """No answer, and the connection stays open."""
    exchange.server.over.wait(60)
    exchange.close_connection = True


def trickling(exchange: Exchange) -> None:
    """An answer that never ends, and is never late by a read timeout."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not exchange.server.over.wait(0.1):
        exchange.wfile.write(b" ")
    exchange.close_connection = True


def signature_expired(exchange: Exchange) -> None:
    exchange.error(400, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …")


PASSING = [throttled, account_throttled, too_many_requests, internal_error, bad_gateway,
           some_unprocessed, all_unprocessed,
           cut_before_the_answer, cut_in_the_headers, cut_in_the_body, reset, garbled, garbled_base64, cut_json,
           empty_answer, empty_object, page_of_a_stranger, slow]  # fmt: skip
HANGING = [silent, trickling]

# What stays: nothing the function can do about it.


def no_table(exchange: Exchange) -> None:
    exchange.error(400, "ResourceNotFoundException", "Requested resource not found")


def denied(exchange: Exchange) -> None:
    exchange.error(400, "AccessDeniedException", "not authorized to perform: dynamodb:BatchGetItem")


def expired(exchange: Exchange) -> None:
    exchange.error(400, "ExpiredTokenException", "The security token included in the request is expired")


def broken_vector(exchange: Exchange) -> None:
    _, content = exchange.forward(exchange.body)
    answer = json.loads(content)
    (items,) = answer["Responses"].values()
    items[-1]["vector"] = {"B": "AAAA"}
    exchange.answer(200, json.dumps(answer).encode())


LASTING: dict[Fault, str] = {
    no_table: "ResourceNotFoundException",
    denied: "dynamodb:BatchGetItem",
    expired: "ExpiredTokenException",
    broken_vector: "3 bytes, not the",
}
