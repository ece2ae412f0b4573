"""Who may call a deployed API: bearers of a token, or signers of requests. A preflight needs neither."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.conftest import ROOT, Cloud
from tests.test_end_to_end import SENTENCE, call, printed

STACK = "closed"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of tokens with one key, which it publishes."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        n, e = (encoded(number.to_bytes((number.bit_length() + 7) // 8)) for number in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": n, "e": e}]}

    def token(self, **claims: Any) -> str:
        """Return a token for the audience `mine` that holds for a minute, or with other claims."""
        content = {"iss": self.url, "aud": "mine", "exp": int(time.time()) + 60, **claims}
        parts = [encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, content)]
        signature = self.key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, encoded(signature)])


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An issuer that answers on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.endswith("/jwks.json")
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(known.jwks()).encode() if found else b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = Issuer(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


def deploy(cloud: Cloud, *options: Any) -> Any:
    return cloud.run(ROOT / "utils/deploy.py", *options, "--stack", STACK)


@pytest.fixture(scope="module")
def url(cloud: Cloud, issuer: Issuer) -> Iterator[str]:
    """Where Kim CNN is served, to bearers of tokens."""
    given = {"Auth": "jwt", "JwtIssuer": issuer.url, "JwtAudience": "others,mine"}
    options = [f"--parameter={name}={value}" for name, value in given.items()]
    ran = deploy(cloud, "up", "--kim-cnn", cloud.packages["kim_cnn"], *options)
    assert "anyone may call" not in ran.stderr
    yield printed(ran.stdout)["KimCnnUrl"]
    deploy(cloud, "down", "--yes")


def test_a_token_of_the_issuer_for_the_audience_is_let_through(url: str, issuer: Issuer) -> None:
    assert call(url, SENTENCE, Authorization=f"Bearer {issuer.token()}")[0] == 200


def test_no_other_token_is(url: str, issuer: Issuer) -> None:
    good = issuer.token()
    refused = [None, "", good[:-8] + "AAAAAAAA", issuer.token(aud="theirs"), issuer.token(iss="http://elsewhere")]
    for token in (*refused, issuer.token(exp=int(time.time()) - 1)):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        assert call(url, SENTENCE, **headers)[0] == 401


def test_a_preflight_needs_no_token(url: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, _, headers = call(url, method="OPTIONS", **asked)
    assert status in (200, 204)
    assert {"authorization", "content-type"} <= set(headers["Access-Control-Allow-Headers"].split(","))


def test_with_iam_a_request_without_a_signature_is_refused(url: str, cloud: Cloud) -> None:
    deploy(cloud, "up", "--parameter=Auth=iam")
    assert call(url, SENTENCE)[0] == 403
    ran = deploy(cloud, "up", "--parameter=Auth=none")
    assert "anyone may call (Auth=none), and make it cost $" in ran.stderr
    assert call(url, SENTENCE)[0] == 200
