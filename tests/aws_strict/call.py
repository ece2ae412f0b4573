"""A request to AWS, read far enough to judge it: which service, which operation, which fields."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

ADMINISTRATOR = "test"  # the access key of the commands; functions have those of their roles


@dataclass
class Call:
    """A request; `status` and `content` are of its answer, once there is one."""

    method: str
    path: str
    headers: dict[str, str]  # with names in small letters
    body: bytes
    time: float = field(default_factory=time.monotonic)
    status: int = 0
    content: bytes = b""
    service: str = ""
    caller: str = ""
    operation: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scope = re.search(r"Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/", self.headers.get("authorization", ""))
        self.caller, self.service = scope.groups() if scope else ("", "")
        read = {"s3": _s3, "lambda": _lambda, "dynamodb": _json, "": _unsigned}.get(self.service, _query)
        self.operation, self.fields = read(self)


def _query(call: Call) -> tuple[str, dict[str, Any]]:
    fields = dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))
    return fields.get("Action", f"{call.method} {call.path}"), fields


def _json(call: Call) -> tuple[str, dict[str, Any]]:
    return call.headers.get("x-amz-target", "").rpartition(".")[2], json.loads(call.body or b"{}")


def _lambda(call: Call) -> tuple[str, dict[str, Any]]:
    invoked = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", urlsplit(call.path).path)
    if invoked:
        return "Invoke", {"FunctionName": unquote(invoked[1])}
    return f"{call.method} {urlsplit(call.path).path}", {}


def _s3(call: Call) -> tuple[str, dict[str, Any]]:
    url = urlsplit(call.path)
    bucket, _, key = url.path.strip("/").partition("/")
    asked = dict(parse_qsl(url.query, keep_blank_values=True))
    of_bucket = {"policy": "BucketPolicy", "publicAccessBlock": "PublicAccessBlock"}
    what = next((name for query, name in of_bucket.items() if query in asked), "Object" if key else "Bucket")
    verb = {"PUT": "Create" if what == "Bucket" else "Put", "GET": "Get", "HEAD": "Head", "DELETE": "Delete"}
    return f"{verb.get(call.method, call.method)}{what}", {"Bucket": bucket, "Key": unquote(key)}


def _unsigned(call: Call) -> tuple[str, dict[str, Any]]:
    api = re.match(r"/_aws/execute-api/(\w+)/", call.path)
    if api:
        return "CallApi", {"ApiId": api[1]}
    url = re.match(r"/_aws/lambda-url/([^/]+)/", call.path)
    return ("CallUrl", {"UrlId": url[1]}) if url else (f"{call.method} {call.path}", {})


class History:
    """The calls until now, oldest first."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def of(self, operation: str, **fields: Any) -> Iterator[Call]:
        """Yield the calls of an operation with these fields that succeeded, newest first."""
        for call in reversed(self.calls):
            if call.operation == operation and fields.items() <= call.fields.items() and 0 < call.status < 400:
                yield call

    def since(self, seconds: float, operation: str, **fields: Any) -> bool:
        """Return whether such a call succeeded in the last `seconds`."""
        newest = next(self.of(operation, **fields), None)
        return newest is not None and time.monotonic() - newest.time < seconds


@dataclass
class Answer:
    """What a rule has AWS answer."""

    status: int
    content: bytes
    headers: dict[str, str]


def error(call: Call, status: int, code: str, message: str) -> Answer:
    """Return an error as the service of the call words it."""
    if call.service == "dynamodb":
        content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})
        return Answer(status, content.encode(), {"Content-Type": "application/x-amz-json-1.0"})
    if call.service == "lambda":
        content = json.dumps({"Type": "User", "Message": message})
        return Answer(status, content.encode(), {"Content-Type": "application/json", "x-amzn-ErrorType": code})
    inner = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if call.service == "s3":
        return Answer(status, f"<Error>{inner}</Error>".encode(), {"Content-Type": "application/xml"})
    content = f"<ErrorResponse><Error><Type>Sender</Type>{inner}</Error><RequestId>r</RequestId></ErrorResponse>"
    return Answer(status, content.encode(), {"Content-Type": "text/xml"})
