"""Requests to a deployed function: many over HTTP, several at a time, retried."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import urllib3
from tqdm import tqdm

from inference.settings import Settings
from inference.tokenizer import CASE_MARKS, PLACEHOLDERS, tokenize
from toolkit.cli import CommandError

CONCURRENCY = 8
TIMEOUT = 60  # seconds, longer than API Gateway waits for a function
RETRY_STATUSES = (429, 502, 503, 504)  # throttled, or the function did not answer
RETRIES = 8  # with waits of 0, 0.4, 0.8 … 25.6 seconds before them, 51 in all; a Retry-After takes their place
BACKOFF = 0.2  # seconds; each wait from the second on is twice the one before
CONNECTION_RETRIES = 2  # fewer: a wrong URL never connects


def body(fields: dict[str, Any]) -> bytes:
    """Return the JSON body of a request."""
    return json.dumps(fields, ensure_ascii=False).encode()


def split(texts: Iterable[str], fields: dict[str, Any], settings: Settings) -> Iterator[list[str]]:
    """Yield `texts` in lists that each fit a request: as few as the bounds on texts, bytes and distinct words allow.

    `fields` are those of the request: an empty list for the texts, strings for the others.
    """
    other_bytes = len(body(fields))
    # The model's tokenizer may make each of these a word of its own.
    most_words = settings.max_distinct_words - len(CASE_MARKS) - len(PLACEHOLDERS)
    others = {word for text in fields.values() if isinstance(text, str) for word in tokenize(text)}
    group: list[str] = []
    size, words = other_bytes, set(others)
    for text in texts:
        more, new = len(json.dumps(text, ensure_ascii=False).encode()) + len(", "), set(tokenize(text))
        full = len(group) == settings.max_sentences or size + more > settings.max_body_bytes
        if group and (full or len(words | new) > most_words):
            yield group
            group, size, words = [], other_bytes, set(others)
        group.append(text)
        size += more
        words |= new
    yield group


def post_all(url: str, requests: Sequence[dict[str, Any]], quiet: bool = False) -> list[dict[str, Any]]:
    """Return what `post_each` yields, and show progress unless `quiet`."""
    return list(tqdm(post_each(url, requests), total=len(requests), unit="request", disable=True if quiet else None))


def post_each(
    url: str, requests: Iterable[dict[str, Any]], headers: Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Post each of `requests` to `url`, with more `headers`, and yield the answers, in order.

    Throttled requests and gateway errors are retried with backoff. Raises CommandError when a request is refused, or
    not answered in the end.
    """
    with ThreadPoolExecutor(CONCURRENCY) as executor:
        try:
            yield from executor.map(partial(_call, _pool(), "POST", url, headers), requests)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def about(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the model at `url` is; retries and errors as for `post_each`."""
    return _call(_pool(), "GET", url, headers)


def _pool() -> urllib3.PoolManager:
    retries = urllib3.Retry(
        total=RETRIES,
        connect=CONNECTION_RETRIES,
        status_forcelist=RETRY_STATUSES,
        allowed_methods=None,  # all of them, POST as well
        backoff_factor=BACKOFF,
        raise_on_status=False,
    )
    return urllib3.PoolManager(maxsize=CONCURRENCY, retries=retries, timeout=urllib3.Timeout(TIMEOUT))


def _call(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    fields: dict[str, Any] | None = None,
) -> dict[str, Any]:
    content = None if fields is None else body(fields)
    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        answer = pool.request(method, url, body=content, headers=sent)
    except urllib3.exceptions.HTTPError as error:
        cause = type(getattr(error, "reason", error)).__name__
        raise CommandError(f"{url}: no answer ({cause}); is it the URL that the deployment printed?") from None
    if answer.status != 200:
        raise CommandError(f"{url}: status {answer.status}: {answer.data[:300].decode(errors='replace')}")
    answered: dict[str, Any] = answer.json()
    return answered
