"""API Gateway events in, JSON answers out: REST (v1), HTTP API and function URL (v2) and direct events."""

import base64
import binascii
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from inference.tokenizer import tokenize
from inference.word_vectors import VectorsError, VectorsUnavailableError


def whole_number(name: str, default: int) -> int:
    """Return the environment variable `name`, a whole number of at least 0; raise ValueError if it is not one."""
    value = os.environ.get(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"the environment variable {name} is {value!r}; set it to a whole number, 0 or more")
    return int(value)


CORS_ALLOW_ORIGIN = os.environ.get("CORS_ALLOW_ORIGIN", "*")
# They bound the work of a request before any vector is read.
MAX_BODY_BYTES = whole_number("MAX_BODY_BYTES", 128 * 1024)
MAX_SENTENCES = whole_number("MAX_SENTENCES", 128)
MAX_WORDS = whole_number("MAX_WORDS", 256)

TIME_TO_ANSWER = 1.0  # seconds kept back from the invocation's remaining time for the model and the answer
PATIENCE = 10.0  # seconds a request waits for its vectors at most, however long the function may run

logger = logging.getLogger("inference")
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO").upper())

Predict = Callable[[dict[str, Any], float], dict[str, Any]]
Handler = Callable[[Any, Any], dict[str, Any]]


class RequestError(Exception):
    """What the caller sent can't be answered; `message` says what is wrong and what would be right."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        """Answer with HTTP `status`, `message`, and extra `headers`."""
        super().__init__(message)
        self.status, self.headers = status, headers or {}


def endpoint(predict: Predict) -> Handler:
    """Make a Lambda handler of `predict`, a function from a request's fields and a deadline to an answer's.

    The deadline is in seconds of `time.monotonic()`. The handler never raises: a RequestError is the
    caller's to mend, throttled or unreachable word vectors are a 503, anything else is logged and a 500.
    """

    def handler(event: Any, context: Any) -> dict[str, Any]:
        started = time.monotonic()
        try:
            if _method(event) == "OPTIONS":
                return _response(204, None)
            answer = predict(_fields(event), started + _patience(context))
            return _response(200, answer)
        except RequestError as error:
            return _response(error.status, {"error": str(error)}, error.headers)
        except VectorsUnavailableError as error:
            logger.error("word vectors unavailable: %s", error)  # one line: table, words, cause
            message = "the word vectors can't be read right now; try again in a second"
            return _response(503, {"error": message}, {"Retry-After": "1"})
        except VectorsError as error:
            logger.error("word vectors unusable: %s", error)
        except Exception:
            logger.exception("request failed")
        return _response(500, {"error": "the request failed inside the service; its log says why"})

    return handler


def sentence(fields: dict[str, Any], name: str) -> tuple[str, list[str]]:
    """Return the text of field `name`, a string, and its words."""
    text = _text(_field(fields, name), name, "a string")
    return text, _words(text, name)


def sentences(fields: dict[str, Any], name: str) -> tuple[list[str], list[list[str]], bool]:
    """Return the texts of field `name`, a string or a list of strings, their words, and whether it is a list."""
    value = _field(fields, name)
    if not isinstance(value, list):
        text = _text(value, name, "a string or a list of strings")
        return [text], [_words(text, name)], False
    if not value:
        raise RequestError(400, f"{name} is an empty list; send at least one string")
    if len(value) > MAX_SENTENCES:
        raise RequestError(400, f"{name} has {len(value)} strings; send at most {MAX_SENTENCES} a request")
    texts = [_text(item, f"{name}[{index}]", "a string") for index, item in enumerate(value)]
    if sum(map(len, texts)) > MAX_BODY_BYTES:
        raise _too_large(name)
    return texts, [_words(text, f"{name}[{index}]") for index, text in enumerate(texts)], True


def _field(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise RequestError(400, f"no field {name!r} in the request; send it as JSON")
    return fields[name]


def _text(value: Any, name: str, expected: str) -> str:
    if not isinstance(value, str):
        raise RequestError(400, f"{name} is {_json_type(value)}; send {expected}")
    if len(value) > MAX_BODY_BYTES:  # in a direct invocation, which has no body to measure
        raise _too_large(name)
    return value


def _too_large(name: str) -> RequestError:
    return RequestError(413, f"{name} is over {MAX_BODY_BYTES} bytes; send less at a time")


def _words(text: str, name: str) -> list[str]:
    words = tokenize(text)
    if not words:
        raise RequestError(400, f"{name} is empty; send a sentence")
    if len(words) > MAX_WORDS:
        raise RequestError(400, f"{name} has {len(words)} words; send at most {MAX_WORDS} a sentence")
    return words


def _json_type(value: Any) -> str:
    names = {str: "a string", bool: "a boolean", dict: "an object", list: "a list", type(None): "null"}
    return names.get(type(value), "a number")


def _method(event: Any) -> str:
    """Return the HTTP method of an event; a direct invocation counts as POST."""
    if not isinstance(event, dict):
        return "POST"
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, dict) else None
    method = http.get("method") if isinstance(http, dict) else event.get("httpMethod")
    return method.upper() if isinstance(method, str) else "POST"


def _fields(event: Any) -> dict[str, Any]:
    """Return the fields a request carries, in its JSON body or, invoked directly, in the event itself."""
    if (method := _method(event)) != "POST":
        raise RequestError(405, f"method {method[:10]} is not served; use POST", {"Allow": "OPTIONS, POST"})
    if not isinstance(event, dict):
        raise RequestError(400, f"the event is {_json_type(event)}; send a JSON object")
    if "body" not in event and "requestContext" not in event and "httpMethod" not in event:
        return event
    body = event.get("body")
    if isinstance(body, dict):  # a direct invocation that did not encode its body
        return body
    if not isinstance(body, str) or not body:
        raise RequestError(400, "the request has no body; send a JSON object")
    if len(body) > 4 * MAX_BODY_BYTES // 3 + 4:
        raise _too_large("the body")
    try:
        data = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        if len(data) > MAX_BODY_BYTES:
            raise _too_large("the body")
        fields = json.loads(data)
    except (binascii.Error, ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON in UTF-8; send a JSON object") from None
    if not isinstance(fields, dict):
        raise RequestError(400, f"the body is {_json_type(fields)}; send a JSON object")
    return fields


def _patience(context: Any) -> float:
    """Return the seconds a request may wait for its vectors, so that it answers before Lambda would kill it."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return PATIENCE if remaining is None else min(PATIENCE, remaining() / 1000 - TIME_TO_ANSWER)


def _response(status: int, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": CORS_ALLOW_ORIGIN,
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Allow-Methods": "OPTIONS, POST",
            "Access-Control-Expose-Headers": "Retry-After",
            **(headers or {}),
        },
        "body": "" if body is None else json.dumps(body, ensure_ascii=True, allow_nan=False),
        "isBase64Encoded": False,
    }
