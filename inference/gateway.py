"""API Gateway events in, JSON answers out: REST (v1), HTTP API and function URL (v2) and direct events."""

import base64
import binascii
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

from inference import log_line
from inference.fields import RequestError, json_type, too_large
from inference.settings import Settings
from inference.word_vectors import VectorsError, VectorsUnavailableError

TIME_TO_ANSWER = 1.0  # seconds kept back from the invocation's remaining time for the model and the answer
SURROGATES = re.compile("[\ud800-\udfff]")
PATIENCE = 10.0  # seconds a request waits for its vectors at most, however long the function may run

METHODS = "GET, OPTIONS, POST"

logger = logging.getLogger("inference")

Facts = dict[str, Any]  # what the log gets to know of a request
Answer = Callable[[dict[str, Any], float, Facts], dict[str, Any]]
Health = Callable[[float], dict[str, Any]]
Handler = Callable[[Any, Any], dict[str, Any]]


def http_handler(
    answer: Answer, settings: Settings, about: dict[str, Any] | None = None, health: Health | None = None
) -> Handler:
    """Make a Lambda handler of `answer`: from a request's fields and a deadline to an answer's fields.

    `answer` notes what it did for the log. The deadline is in seconds of `time.monotonic()`. GET is answered with
    `about`, what the model is, or below it, at …/health, with what `health` returns by a deadline. The handler never
    raises: a RequestError goes to the caller, throttled or unreachable word vectors are a 503, anything else is logged
    and a 500. Each event gets a line in the log, also one that is no request.
    """

    def respond(event: Any, context: Any, facts: Facts) -> dict[str, Any]:
        try:
            deadline = time.monotonic() + _patience(context)
            method = _method(event)
            if method == "OPTIONS":
                return _response(204, None, settings)
            if method == "GET" and health is not None and _path(event).endswith("/health"):
                return _response(200, health(deadline), settings)
            if method == "GET" and about is not None:
                return _response(200, about, settings)
            return _response(200, answer(_fields(event, settings), deadline, facts), settings)
        except RequestError as error:
            return _response(error.status, {"error": str(error)}, settings, error.headers)
        except VectorsUnavailableError as error:
            logger.error("word vectors unavailable: %s", error)  # one line: table, words, cause
            message = "the word vectors can't be read right now; try again in a second"
            return _response(503, {"error": message}, settings, {"Retry-After": "1"})
        except VectorsError as error:
            logger.error("word vectors unusable: %s", error)
        except Exception:
            logger.exception("request failed")
        return _response(500, {"error": "the request failed inside the service; its log says why"}, settings)

    cold = True

    def handler(event: Any, context: Any) -> dict[str, Any]:
        nonlocal cold
        started = time.perf_counter()
        facts: Facts = {
            "request": getattr(context, "aws_request_id", None),
            "api_request": _api_request(event),
            "event": _kind(event),
            "cold": cold,
            "table": settings.table,
        }
        cold = False
        response = respond(event, context, facts)
        facts["status"] = response["statusCode"]
        facts["bytes_in"], facts["bytes_out"] = _body_length(event), len(response["body"].encode())
        facts["seconds"] = round(time.perf_counter() - started, 6)
        log_line.write(facts, context, settings)
        return response

    return handler


def _is_http(event: Any) -> bool:
    return isinstance(event, dict) and ("requestContext" in event or "httpMethod" in event)


def _kind(event: Any) -> str:
    """Return where an event comes from, or what it is when it is not even an object."""
    return "http" if _is_http(event) else "direct" if isinstance(event, dict) else json_type(event)


def _api_request(event: Any) -> str | None:
    """Return API Gateway's id of the request, which its access log has as well."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    found = context.get("requestId") if isinstance(context, dict) else None
    return found[:64] if isinstance(found, str) else None


def _body_length(event: Any) -> int:
    body = event.get("body") if isinstance(event, dict) else None
    return len(body) if isinstance(body, str) else 0


def _path(event: Any) -> str:
    path = event.get("rawPath", event.get("path"))
    return path if isinstance(path, str) else ""


def _method(event: Any) -> str:
    """Return the HTTP method of an event; a direct invocation counts as POST."""
    if not isinstance(event, dict):
        return "POST"
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, dict) else None
    method = http.get("method") if isinstance(http, dict) else event.get("httpMethod")
    return method.upper() if isinstance(method, str) else "POST"


def _fields(event: Any, settings: Settings) -> dict[str, Any]:
    """Return the fields a request carries, in its JSON body or, invoked directly, in the event itself."""
    if (method := _method(event)) != "POST":
        raise RequestError(405, f"method {method[:10]} is not served; use POST", {"Allow": METHODS})
    if not isinstance(event, dict):
        raise RequestError(400, f"the event is {json_type(event)}; send a JSON object")
    if "body" not in event and not _is_http(event):
        return event
    body = event.get("body")
    if isinstance(body, dict):  # a direct invocation that did not encode its body
        return body
    if not isinstance(body, str) or not body:
        raise RequestError(400, "the request has no body; send a JSON object")
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        if len(data) > settings.max_body_bytes:
            raise too_large("the body", settings)
        fields = json.loads(data.decode("utf-8-sig"))
    except (binascii.Error, ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON in UTF-8; send a JSON object") from None
    if not isinstance(fields, dict):
        raise RequestError(400, f"the body is {json_type(fields)}; send a JSON object")
    return fields


def _patience(context: Any) -> float:
    """Return the seconds a request may wait for its vectors, so that it answers before Lambda would kill it."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return PATIENCE if remaining is None else min(PATIENCE, remaining() / 1000 - TIME_TO_ANSWER)


def _json(body: Any) -> str:
    """Return JSON as short as it can be; half of a surrogate pair, which UTF-8 can't spell, is escaped."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return SURROGATES.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _response(status: int, body: Any, settings: Settings, headers: dict[str, str] | None = None) -> dict[str, Any]:
    cors = {
        "Access-Control-Allow-Origin": settings.cors_allow_origin,
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Expose-Headers": "Retry-After",
    }
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "application/json",
            **(cors if settings.cors_allow_origin else {}),
            **(headers or {}),
        },
        "body": "" if body is None else _json(body),
        "isBase64Encoded": False,
    }
