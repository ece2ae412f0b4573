"""A DynamoDB that answers every call at once and keeps nothing: what is left of the time is the client's.

python bench/stub_server.py        # prints its URL, serves until killed
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OPERATION = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_TABLE = {
    "TableName": "words",
    "TableStatus": "ACTIVE",
    "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/words",
    "TableId": "00000000-0000-0000-0000-000000000000",
    "KeySchema": [{"AttributeName": "word", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "word", "AttributeType": "S"}],
}
_ANSWERS = {b"BatchWriteItem": {"UnprocessedItems": {}}, b"DescribeTable": {"Table": _TABLE}}


def _answer(content: dict) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_PACKED = {operation: _answer(content) for operation, content in _ANSWERS.items()}


class Connection(asyncio.Protocol):
    """One keep-alive connection: reads a request's head and length, answers when its body is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with nothing read."""
        self.transport, self.head, self.missing = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        """Take what came; answer once the request is whole."""
        if self.missing:
            self.missing -= len(data)
        else:
            self.head += data
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.operation = _OPERATION.search(head)[1]
            self.missing = int(_LENGTH.search(head)[1]) - len(body)
            self.head = b""
        if not self.missing:
            self.transport.write(_PACKED[self.operation])


@contextlib.contextmanager
def stub_server() -> Iterator[None]:
    """Run the stub in its own process, and point boto3 at it."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            os.environ |= {
                "AWS_ENDPOINT_URL": server.stdout.readline().strip(),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "stub",
                "AWS_SECRET_ACCESS_KEY": "stub",
            }
            yield
        finally:
            server.kill()


async def serve() -> None:
    """Serve on a free port of this machine."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
