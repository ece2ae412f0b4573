"""Model files out: the one function that writes them, and the check that goes into them."""

import io
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.fields import RequestError
from inference.model_file import Model, check_card
from inference.service import Predict
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from toolkit.atomic_write import atomic_write

SAMPLES, SAMPLE_BYTES = 5, 1000  # of a card: how many at most, and the JSON of each


def write_model(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    state_dict: dict[str, Any],
    overlap: dict[str, Any] | None = None,
    check: dict[str, Any] | None = None,
    card: dict[str, Any] | None = None,
) -> None:
    """Write a model file, whole or not at all, which `inference/model_file.py` reads.

    `config` holds everything that rebuilds the PyTorch module, `overlap` what the features of an SM-CNN need, `check`
    the fields of a `request` and the `logits` that a deployment must give it, `card` what the demo page shows: a
    `title`, a `description` and `samples`, the fields of requests; ValueError for a card that can't be read back.
    """
    if card is not None:
        check_card(card)
    others = {"overlap": overlap, "check": check, "card": card}
    content = {"architecture": architecture, "config": config, "state_dict": state_dict}
    content |= {name: value for name, value in others.items() if value is not None}
    written = io.BytesIO()
    torch.save(content, written)  # to memory, as of a full disk it says "unexpected pos 1600 vs 1494"
    with atomic_write(path) as file:
        file.write(written.getbuffer())


def make_card(title: str, description: str, requests: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a card for a model file: its samples are the first of `requests` that are short enough to be read."""
    short = (fields for fields in requests if len(json.dumps(fields)) <= SAMPLE_BYTES)
    return {"title": title[:100], "description": description[:1000], "samples": list(islice(short, SAMPLES))}


def make_check(
    predict: Predict, model: Model, requests: Iterable[dict[str, Any]], vectors: Mapping[str, np.ndarray | None]
) -> dict[str, Any] | None:
    """Return a check for a model file: the first of `requests` all of whose words have a vector, with its logits.

    None when there is no such request.
    """
    settings = Settings()
    tokenizer = Tokenizer.from_config(model.config, settings.max_words)
    for fields in requests:
        try:
            request = predict.read(fields, tokenizer, settings)
        except RequestError:  # larger than functions take by default
            continue
        known = all(vectors.get(word) is not None for words in request.sentences for word in words)
        if known and not any(request.truncated):  # or the logits would depend on a setting
            logits = model.logits(predict.batches(model, request.sentences, vectors))
            # Rounded, as the last digits depend on the processor; the tolerance of a check is far wider.
            return {"request": fields, "logits": [[round(value, 4) for value in row] for row in logits.tolist()]}
    return None
