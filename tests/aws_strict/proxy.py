"""AWS's refusals before the emulator: a proxy, on top of the one of the fault tests, that asks the rules first."""

import contextlib
import http.client
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from tests.aws_strict.call import Answer, Call, History
from tests.aws_strict.rules import RULES, Rule
from tests.faults.proxy import Exchange, FaultyDynamoDB
from toolkit.deployment.local_cloud import local_cloud

NOT_FORWARDED = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class StrictExchange(Exchange):
    """One connection of a client of any service."""

    server: "StrictAws"

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, self._body())
        answer = self.server.refusal(call) or self._forward_raw(call)
        call.status = answer.status
        call.content = answer.content if call.operation == "DescribeStacks" else b""  # what a rule asks for, no more
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in NOT_FORWARDED:
                    self.send_header(name, value)
            lengths = [value for name, value in answer.headers.items() if name.lower() == "content-length"]
            length = lengths[0] if lengths and self.command == "HEAD" else str(len(answer.content))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer.content)
        except OSError:  # the client has given up
            self.close_connection = True

    # http.server finds its methods by these names.
    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = handle_any  # noqa: N815
    do_QUERY = handle_any  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _forward_raw(self, call: Call) -> Answer:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=600)
        headers = {name: value for name, value in call.headers.items() if name not in NOT_FORWARDED}
        with contextlib.closing(upstream):
            upstream.request(call.method, call.path, call.body, {**headers, "content-length": str(len(call.body))})
            answer = upstream.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))


class StrictAws(FaultyDynamoDB):
    """The proxy. `rules` can be changed; `refused` counts what each of them refused."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, StrictExchange)
        self.rules = list(RULES)
        self.refused: dict[str, int] = {}
        self.past = History()
        self._behind = upstream
        self._lock = threading.Lock()

    def handle_error(self, *_: Any) -> None:
        """Show what a rule has stumbled over; clients that give up are none of it."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()

    def client(self, service: str) -> Any:
        """Return a client of the emulator, behind the rules."""
        return boto3.client(service, endpoint_url=self._behind)

    @contextmanager
    def without(self, rule: Rule) -> Iterator[None]:
        """Leave a rule out for a while."""
        place = self.rules.index(rule)
        del self.rules[place]
        try:
            yield
        finally:
            self.rules.insert(place, rule)

    @contextmanager
    def also(self, rule: Rule) -> Iterator[None]:
        """Ask one more rule for a while, before the others."""
        self.rules.insert(0, rule)
        try:
            yield
        finally:
            self.rules.remove(rule)

    def refusal(self, call: Call) -> Answer | None:
        """Return what the first rule that objects has AWS answer; None when none does."""
        with self._lock:
            answers = ((rule, rule(call, self.past, self.client)) for rule in self.rules)
            rule, answer = next(((rule, answer) for rule, answer in answers if answer), (None, None))
            self.past.calls.append(call)
            if rule:
                name = getattr(rule, "__name__", "rule")
                self.refused[name] = self.refused.get(name, 0) + 1
        return answer


@contextmanager
def strict_cloud(port: int, log: Path) -> Iterator[tuple[StrictAws, dict[str, str]]]:
    """Keep a local cloud on `port` behind the rules up, its output in `log`.

    Yields the proxy and the environment of clients, who see the proxy alone.
    """
    with StrictAws(f"http://127.0.0.1:{port}") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            with local_cloud(port, log, front=server.url) as environment:
                yield server, environment
        finally:
            server.over.set()
            server.shutdown()
