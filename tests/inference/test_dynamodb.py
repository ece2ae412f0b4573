"""The client for BatchGetItem: signed as botocore signs, and where no answer comes, botocore's exceptions."""

import calendar
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from inference import dynamodb
from inference.dynamodb import DynamoDB, dynamodb_client, signed_headers
from tests.conftest import free_port

ASKED = {"words": {"Keys": [{"word": {"S": "é"}}]}}
ANSWER = {"Responses": {"words": [{"word": {"S": "é"}, "vector": {"B": "AACAPw=="}, "n": {"N": "1"}}]}}
Respond = Callable[[BaseHTTPRequestHandler], None]


def answer(content: Any, status: int = 200, checksum: int | None = None) -> Respond:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(data)))
        request.send_header("x-amz-crc32", str(zlib.crc32(data) if checksum is None else checksum))
        request.end_headers()
        request.wfile.write(data)

    return respond


@contextmanager
def service(*responses: Respond) -> Iterator[tuple[DynamoDB, list[Any]]]:
    """A service that answers with `responses` in turn; yields its client, and the connections requests came by."""
    left, connections = list(responses), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            connections.append(self.client_address)
            self.rfile.read(int(self.headers["Content-Length"]))
            left.pop(0)(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    client = DynamoDB(ReadOnlyCredentials("id", "key", None), "us-east-1", f"http://127.0.0.1:{server.server_port}", "")
    client._credentials = mock.Mock(get_frozen_credentials=lambda: ReadOnlyCredentials("id", "key", None))
    try:
        yield client, connections
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join()


@given(
    st.binary(max_size=200),
    st.none() | st.text("abcDEF123+/=", min_size=1),
    st.sampled_from(["us-east-1", "cn-north-1"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)),
)
def test_headers_are_signed_as_botocore_signs_them(body: bytes, token: str | None, region: str, now: datetime) -> None:
    credentials = ReadOnlyCredentials("AKID", "s3cret", token)
    url = f"https://dynamodb.{region}.amazonaws.com"
    request = AWSRequest(
        "POST", f"{url}/", {"Content-Type": dynamodb.CONTENT_TYPE, "X-Amz-Target": dynamodb.TARGET}, body
    )
    with mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=UTC)):
        SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    ours = signed_headers(credentials, region, url.removeprefix("https://"), body, now.timetuple())
    assert ours == dict(request.headers.items())
    assert calendar.timegm(now.timetuple()) == calendar.timegm(time.strptime(ours["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))


def test_an_answer_is_what_boto3_makes_of_it() -> None:
    with service(answer(ANSWER), answer(ANSWER)) as (client, connections):
        boto = boto3.client("dynamodb", endpoint_url=client._url)
        expected = boto.batch_get_item(RequestItems=ASKED)
        assert client.batch_get_item(RequestItems=ASKED) == {"Responses": expected["Responses"]}
        boto.close()
        assert len(connections) == 2


def test_a_connection_is_kept_and_replaced_when_the_service_has_closed_it() -> None:
    def answer_and_hang_up(request: BaseHTTPRequestHandler) -> None:
        answer(ANSWER)(request)
        request.close_connection = True  # without a word, as an idle connection ends

    with service(answer(ANSWER), answer_and_hang_up, answer(ANSWER)) as (client, connections):
        for _ in range(3):
            assert client.batch_get_item(RequestItems=ASKED)["Responses"]["words"][0]["vector"]["B"] == b"\0\0\x80?"
        assert connections[0] == connections[1] != connections[2]


def test_an_error_answer_is_botocores_client_error() -> None:
    code = "ProvisionedThroughputExceededException"
    slow = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "slow down"}
    with service(answer(slow, 400), answer(b"<html>bad gateway</html>", 502)) as (client, _):
        with pytest.raises(ClientError, match="slow down") as caught:
            client.batch_get_item(RequestItems=ASKED)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        with pytest.raises(ClientError, match="bad gateway") as caught:
            client.batch_get_item(RequestItems=ASKED)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def half(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.end_headers()
    request.wfile.write(b'{"Resp')
    request.close_connection = True


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (hang_up, ConnectionClosedError),
        (half, ConnectionClosedError),
        (answer(b"no json"), ResponseParserError),
        (answer([1]), ResponseParserError),
        (answer({"Responses": {"words": [{"vector": {"B": "A"}}]}}), ResponseParserError),
        (answer(ANSWER, checksum=1), ChecksumError),
        (lambda request: time.sleep(0.3), ReadTimeoutError),
    ],
)
def test_what_is_no_answer_raises_what_botocore_raises(
    respond: Respond, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "READ_TIMEOUT", 0.1)
    with service(respond, answer(ANSWER)) as (client, _):
        with pytest.raises(error):
            client.batch_get_item(RequestItems=ASKED)
        assert client.batch_get_item(RequestItems=ASKED)["Responses"], "the next call must not be harmed"


def test_a_service_that_is_not_there_is_a_connection_error() -> None:
    client = DynamoDB(None, "us-east-1", f"http://127.0.0.1:{free_port()}", "")
    with pytest.raises(NoCredentialsError):
        client.batch_get_item(RequestItems=ASKED)
    client._credentials = mock.Mock(get_frozen_credentials=lambda: ReadOnlyCredentials("id", "key", None))
    with pytest.raises(EndpointConnectionError):
        client.batch_get_item(RequestItems=ASKED)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com"),
        ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_endpoint_is_the_regions_or_the_one_the_environment_names(
    region: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert dynamodb_client()._url == boto3.Session().client("dynamodb").meta.endpoint_url == url
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
    assert dynamodb_client()._url == "http://127.0.0.1:4566"
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:4567")
    assert dynamodb_client()._url == "http://127.0.0.1:4567"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoRegionError):
        dynamodb_client()


def test_parallel_calls_have_a_connection_each() -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(request: BaseHTTPRequestHandler) -> None:
        together.wait()
        answer(ANSWER)(request)

    with service(meet, meet, meet) as (client, connections):
        threads = [threading.Thread(target=client.batch_get_item, args=(ASKED,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(connections)) == 3
