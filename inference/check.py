"""The check before traffic moves to a new version: does it give the answer that its model file promises?

The deployment invokes the new version with EVENT. An empty table, or one with the vectors of another file, fails it.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.gateway import PATIENCE, Handler
from inference.word_vectors import VectorsUnavailableError

if TYPE_CHECKING:
    from inference.service import Service

EVENT = {"check": True}
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

    A model file without a check is checked for answering its architecture's example at all.
    """
    expected = service.model.check
    outcome = service.run(expected["request"] if expected else service.predict.EXAMPLE, deadline)
    if expected is None:
        return
    table = service.vectors.table
    if unknown := [word for word, vector in outcome.vectors.items() if vector is None]:
        raise CheckError(
            f"table {table} does not have the words {unknown}; upload the vectors the model was trained with"
        )
    if not np.allclose(outcome.logits, expected["logits"], rtol=0, atol=TOLERANCE):
        raise CheckError(
            f"table {table} has other vectors than the model was trained with: the logits are"
            f" {np.round(outcome.logits, 3).tolist()}, not {np.round(expected['logits'], 3).tolist()}"
        )
