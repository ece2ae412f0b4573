"""What a handler serves with, loaded once when the function starts: its model and its word vectors."""

import os
import time
from collections.abc import Iterator

from inference import dynamodb, gateway, model_file, word_vectors


def load(architecture: str) -> tuple[model_file.Model, word_vectors.WordVectors, Iterator[float]]:
    """Return the model of `architecture`, its word vectors, and, for the first request to take, the seconds it took.

    The environment says which model file and table, and how many words to remember.
    """
    started = time.perf_counter()
    model = model_file.load(model_file.find(architecture), architecture)
    vectors = word_vectors.WordVectors(
        dynamodb.dynamodb_client(),
        os.environ.get("WORD_VECTORS_TABLE", "word-vectors"),
        model.vector_length,
        gateway.whole_number("WORD_CACHE_SIZE", 10_000),
    )
    return model, vectors, iter([time.perf_counter() - started])
