"""A deployed function as a client sees it: many requests over HTTP, several at a time."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from tqdm import tqdm

from inference.settings import Settings
from toolkit.cli import CommandError

CONCURRENCY = 8


def body(fields: dict[str, Any]) -> bytes:
    """Return the JSON body of a request."""
    return json.dumps(fields, ensure_ascii=False).encode()


def split(texts: Iterable[str], other_bytes: int, settings: Settings) -> Iterator[list[str]]:
    """Yield `texts` in lists that each fit a request: as few as the bounds on sentences and bytes allow.

    `other_bytes` is the size of the request's body with an empty list.
    """
    group: list[str] = []
    size = other_bytes
    for text in texts:
        more = len(json.dumps(text, ensure_ascii=False).encode()) + len(", ")
        if group and (len(group) == settings.max_sentences or size + more > settings.max_body_bytes):
            yield group
            group, size = [], other_bytes
        group.append(text)
        size += more
    yield group


def post_all(url: str, requests: Sequence[dict[str, Any]], quiet: bool = False) -> list[dict[str, Any]]:
    """Post each of `requests` to `url` and return the answers, in order.

    Throttling and gateway errors are retried with backoff. Raises CommandError when one is not answered.
    """
    retries = urllib3.Retry(
        total=8,
        connect=2,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=0.2,
        raise_on_status=False,
    )
    pool = urllib3.PoolManager(maxsize=CONCURRENCY, retries=retries, timeout=urllib3.Timeout(60))

    def post(fields: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = pool.request("POST", url, body=body(fields), headers={"Content-Type": "application/json"})
        except urllib3.exceptions.HTTPError as error:
            cause = type(getattr(error, "reason", error)).__name__
            raise CommandError(f"{url}: no answer ({cause}); is it the URL that the deployment printed?") from None
        if answer.status != 200:
            raise CommandError(f"{url}: status {answer.status}: {answer.data[:300].decode(errors='replace')}")
        fields = answer.json()
        return fields

    with ThreadPoolExecutor(CONCURRENCY) as executor:
        try:
            answers = executor.map(post, requests)
            return list(tqdm(answers, total=len(requests), unit="request", disable=True if quiet else None))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
