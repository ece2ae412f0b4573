"""Lambda entry point, Kim CNN: {"input": a sentence or a list} ─► its class."""

import time
from typing import Any

import numpy as np

from inference import gateway, service, snapstart
from inference.word_vectors import by_length, embed

MODEL, VECTORS, load_seconds = service.load("kim_cnn")


@gateway.endpoint
def handler(fields: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Classify `input`: logits, class index and label for it or, for a list, for each of its sentences."""
    t0 = time.perf_counter()
    texts, sentences, many = gateway.sentences(fields, "input")
    vectors = VECTORS.lookup((word for sentence in sentences for word in sentence), deadline)
    groups = by_length(sentences)
    inputs = [embed([sentences[row] for row in rows], vectors, VECTORS.length) for rows in groups]
    t1 = time.perf_counter()
    logits = np.empty((len(sentences), len(MODEL.config["labels"])), np.float32)
    for rows, arrays in zip(groups, inputs, strict=True):
        logits[rows] = MODEL.forward(*arrays)
    t2 = time.perf_counter()
    predictions = logits.argmax(1).tolist()
    answers = {
        "input": texts,
        "prediction": predictions,
        "label": [MODEL.config["labels"][prediction] for prediction in predictions],
        "output": logits.tolist(),
    }
    return {
        **(answers if many else {name: values[0] for name, values in answers.items()}),
        "unknown_words": [word for word, vector in vectors.items() if vector is None],
        "t_overall": time.perf_counter() - t0,
        "t_sent_embedding": t1 - t0,
        "t_load_model": next(load_seconds, 0.0),
        "t_inference": t2 - t1,
    }


snapstart.register(handler, VECTORS, {"input": "this is a very good movie"})
