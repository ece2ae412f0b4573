"""Lambda entry point, SM-CNN: {"sent1": a question, "sent2": an answer or a list} ─► how relevant."""

import time
from typing import Any

import numpy as np

from inference import gateway, service, snapstart
from inference.word_vectors import by_length, embed
from sm_cnn import overlap

MODEL, VECTORS, load_seconds = service.load("sm_cnn")


@gateway.endpoint
def handler(fields: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Score `sent2` as an answer to `sent1`: logits and probability of relevance; for a list, a ranking too."""
    t0 = time.perf_counter()
    sent1, question = gateway.sentence(fields, "sent1")
    sent2, answers, many = gateway.sentences(fields, "sent2")
    vectors = VECTORS.lookup((word for words in (question, *answers) for word in words), deadline)
    asked = embed([question], vectors, VECTORS.length)
    groups = by_length(answers)
    inputs = [[*asked, *embed([answers[row] for row in rows], vectors, VECTORS.length)] for rows in groups]
    if MODEL.overlap is not None:
        features = overlap.features(MODEL.overlap, question, answers)
        for rows, arrays in zip(groups, inputs, strict=True):
            arrays.append(features[rows])
    t1 = time.perf_counter()
    scores = np.empty((len(answers), 2), np.float32)
    for rows, arrays in zip(groups, inputs, strict=True):
        scores[rows] = MODEL.forward(*arrays)
    t2 = time.perf_counter()
    probability = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))  # softmax of two classes
    return {
        "sent1": sent1,
        "sent2": sent2 if many else sent2[0],
        "score": scores.tolist() if many else scores[0].tolist(),
        "probability": probability.tolist() if many else float(probability[0]),
        **({"ranking": np.argsort(-probability, kind="stable").tolist()} if many else {}),
        "unknown_words": [word for word, vector in vectors.items() if vector is None],
        "t_overall": time.perf_counter() - t0,
        "t_sent_embedding": t1 - t0,
        "t_load_model": next(load_seconds, 0.0),
        "t_inference": t2 - t1,
    }


snapstart.register(
    handler, VECTORS, {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}
)
