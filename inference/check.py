"""The check before traffic moves to a new version: does it give the answer that its model file promises?

The deployment invokes the new version with EVENT. An empty table, or one with the vectors of another file, fails it.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.gateway import PATIENCE, Handler
from inference.hot_words import HotWords
from inference.word_vectors import VectorsUnavailableError, WordVectors

if TYPE_CHECKING:
    from inference.service import Service

EVENT = {"check": True}
SAMPLE = 1000  # hot words that are compared: 10 calls and, at 50 dimensions, 500 read units, $.0001
TOLERANCE = 0.01  # of a logit; vectors stored as float16 change those of the committed models by .003 at most


class CheckError(Exception):
    """The version would give wrong answers; the message says why."""


def with_check(handler: Handler, service: "Service") -> Handler:
    """Return `handler` with the check for EVENT, which no HTTP request can be.

    The check answers 200, or `{"error": why}` with 503 for what passes and 500 for what does not. Whoever may invoke
    the function directly may know why.
    """

    def checking(event: Any, context: Any) -> dict[str, Any]:
        if event != EVENT:
            return handler(event, context)
        try:
            check(service, time.monotonic() + PATIENCE)
        except Exception as error:
            status = 503 if isinstance(error, VectorsUnavailableError) else 500
            return {"statusCode": status, "body": json.dumps({"error": f"{error}" or type(error).__name__})}
        return {"statusCode": 200, "body": "{}"}

    return checking


def check(service: "Service", deadline: float) -> None:
    """Answer the request that the model file holds for this; raise CheckError when its logits are others.

    A model file without a check is checked for answering its architecture's example at all. Hot words must have the
    vectors that the table has: those of the request, and a sample of the others.
    """
    expected = service.model.check
    outcome = service.run(expected["request"] if expected else service.predict.EXAMPLE, deadline)
    table = service.vectors.table
    if service.vectors.hot:
        _compare_hot_words(service.vectors.hot, service.vectors, list(outcome.vectors), deadline)
    if expected is None:
        return
    if unknown := [word for word, vector in outcome.vectors.items() if vector is None]:
        raise CheckError(
            f"table {table} does not have the words {unknown} of the model's check; upload the vectors that the model"
            " was trained with, these words among them"
        )
    if not np.allclose(outcome.logits, expected["logits"], rtol=0, atol=TOLERANCE):
        raise CheckError(
            f"table {table} has other vectors than the model was trained with: the logits are"
            f" {np.round(outcome.logits, 3).tolist()}, not {np.round(expected['logits'], 3).tolist()}"
        )


def _compare_hot_words(hot: HotWords, vectors: WordVectors, words: list[str], deadline: float) -> None:
    """Raise CheckError when package and table differ in a hot word of `words`, or of a sample of all."""
    packed = hot.find(words + hot.sample(SAMPLE))
    for word, vector in vectors.read(list(packed), deadline).items():
        if vector is None or not np.array_equal(vector, packed[word]):
            what = "does not have" if vector is None else "has another vector for"
            source = "{file} ({digest})".format(**hot.source)
            raise CheckError(
                f"table {vectors.table} {what} the hot word {word!r} of {source}; upload that file, or package the one"
                " that was uploaded"
            )
