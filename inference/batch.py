"""A part of a batch: an object of some thousand rows in S3, answered by an object with a line for each of them.

The part PREFIX/parts/NAME is gzipped JSON lines, each a list of texts: one for Kim CNN, question and answer for SM-CNN.
The result PREFIX/results/NAME has as many lines: the answer, or `error`, why that row has none. It is written whole or
not at all. What fails for now (the table throttles) raises, and Step Functions tries the part again.
"""

import gzip
import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import botocore.session
import numpy as np
from botocore.config import Config
from botocore.exceptions import ClientError

from inference.fields import Request, RequestError
from inference.service import Predict, Service, start
from inference.word_vectors import Reading, VectorsError, VectorsUnavailableError, WordVectors

PATIENCE = 30.0  # seconds of retrying reads before Step Functions waits longer
WORDS_AT_ONCE = 1000  # of a lookup; those of the lookups before one that fails are cached when the part is tried again
CACHE_SHARE = 0.4  # of the memory
WORD_BYTES = 300  # what a word in the cache takes beside its numbers

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def make_handler(predict: Predict) -> Handler:
    """Start a function of batches; return the handler that Lambda calls with {"bucket", "key"} of a part.

    Each word is read once a container, unknown ones too: the cache takes a share of the memory.
    """
    service = start(predict)
    megabytes = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"))
    service.vectors.cache_size = cached_words(megabytes, service.model.vector_length)
    service.vectors.unknown_seconds = service.vectors.known_seconds
    # Not boto3's client, which brings the transfer manager along.
    config = Config(retries={"mode": "standard", "total_max_attempts": 5})
    s3 = botocore.session.get_session().create_client("s3", config=config)

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        owner = context.invoked_function_arn.split(":")[4]
        return answer_part(service, s3, event["bucket"], owner, event["key"])

    return handler


def cached_words(megabytes: int, vector_length: int) -> int:
    """Return how many words a function of so much memory caches."""
    return int(CACHE_SHARE * megabytes * 2**20 / (4 * vector_length + WORD_BYTES))


def answer_part(service: Service, s3: Any, bucket: str, owner: str, key: str) -> dict[str, Any]:
    """Score the rows of the part `key` and write its result; return its facts, which the object has as metadata.

    A part that has its result is left as it is. Raises VectorsError when vectors can't be read, ClientError from S3.
    """
    started = time.perf_counter()
    where = {"Bucket": bucket, "ExpectedBucketOwner": owner}
    result = key.replace("/parts/", "/results/")
    if _exists(s3, {**where, "Key": result}):
        return {}
    content = gzip.decompress(s3.get_object(**where, Key=key)["Body"].read())
    rows = [json.loads(line) for line in content.splitlines()]
    answers, words = score(service, rows)
    lines = "".join(json.dumps(answer) + "\n" for answer in answers)
    facts = {
        "rows": len(rows),
        "failed": sum("error" in answer for answer in answers),
        "words": words,  # read from the table
        "seconds": round(time.perf_counter() - started, 3),
    }
    metadata = {name: str(value) for name, value in facts.items()}
    s3.put_object(**where, Key=result, Body=gzip.compress(lines.encode(), 1, mtime=0), Metadata=metadata)
    return facts


def score(service: Service, rows: Sequence[Sequence[Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the answer to each row, or its `error`, and how many words were read from the table.

    Rows of one question are ranked among each other. Raises VectorsError when it is not the fault of single words.
    """
    names = list(service.predict.EXAMPLE)
    answers: list[dict[str, Any]] = [{}] * len(rows)
    requests: dict[int, Request] = {}
    for number, row in enumerate(rows):
        try:
            requests[number] = service.predict.read(
                dict(zip(names, row, strict=True)), service.tokenizer, service.settings
            )
        except RequestError as error:
            answers[number] = {"error": str(error)}
    vectors: dict[str, np.ndarray | None] = {}
    unreadable: dict[str, str] = {}
    sentences = itertools.chain.from_iterable(request.sentences for request in requests.values())
    distinct, read = list(dict.fromkeys(itertools.chain.from_iterable(sentences))), 0
    for first in range(0, len(distinct), WORDS_AT_ONCE):
        read += look_up(service.vectors, distinct[first : first + WORDS_AT_ONCE], vectors, unreadable)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, request in requests.items():
        if unreadable and (bad := [word for each in request.sentences for word in each if word in unreadable]):
            answers[number] = {"error": unreadable[bad[0]]}
        else:
            groups.setdefault(tuple(rows[number][:-1]), []).append(number)
    for numbers in groups.values():
        together = joined([requests[number] for number in numbers])
        logits = service.model.logits(service.predict.batches(service.model, together.sentences, vectors))
        found = service.predict.of_rows([service.predict.answer(service.model, together, logits)])
        for number, answer in zip(numbers, found, strict=True):
            answers[number] = answer
    return answers, read


def look_up(
    vectors: WordVectors, words: Sequence[str], found: dict[str, np.ndarray | None], unreadable: dict[str, str]
) -> int:
    """Put the vector of each word into `found`, or why it can't be used into `unreadable`; return how many were read.

    An unusable item fails the lookup of all words that go with it, so halves are tried until it is alone.
    """
    reading = Reading()
    try:
        found.update(vectors.lookup(words, time.monotonic() + PATIENCE, reading))
        return len(words) - reading.hot - reading.cached
    except VectorsUnavailableError:
        raise
    except VectorsError as error:
        if error.__cause__:  # a refusal of DynamoDB's, which is the same for every word
            raise
        read = len(words) - reading.hot - reading.cached
        if len(words) == 1:
            unreadable[words[0]] = str(error)
            return read
        half = len(words) // 2
        return read + sum(look_up(vectors, part, found, unreadable) for part in (words[:half], words[half:]))


def joined(requests: Sequence[Request]) -> Request:
    """Return the request of several rows, of SM-CNN those of one question, as if they had come as a list."""
    first = requests[0]  # of which the others have all but the last text
    return Request(
        [*first.texts[:-1], *(request.texts[-1] for request in requests)],
        [*first.sentences[:-1], *(request.sentences[-1] for request in requests)],
        [*first.truncated[:-1], *(request.truncated[-1] for request in requests)],
        True,
    )


def _exists(s3: Any, where: dict[str, str]) -> bool:
    try:
        s3.head_object(**where)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("403", "404"):  # 403 to who may not list what there is
            return False
        raise
    return True
