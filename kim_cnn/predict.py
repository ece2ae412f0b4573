"""Kim CNN from words to scores: the one way, which the handler and evaluate.py both take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import model_file
from inference.fields import Request, texts_field
from inference.model_file import Batch, Model
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from inference.word_vectors import by_length, embed

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURE = "kim_cnn"
EXAMPLE = {"input": "this is a very good movie"}


def build(config: dict[str, Any]) -> "nn.Module":
    """Make the PyTorch module that `config` describes."""
    from kim_cnn.model import KimCNN  # here, as a package for ONNX Runtime has no torch

    return KimCNN.from_config(config)


def load(path: Path) -> Model:
    """Read the model file at `path`; raise ModelFileError if it is not one of a Kim CNN."""
    return model_file.load(path, ARCHITECTURE, build)


def read(fields: dict[str, Any], tokenizer: Tokenizer, settings: Settings) -> Request:
    """Return the texts of `input`, a string or a list of strings; raise RequestError for what can't be answered."""
    return texts_field(fields, "input", tokenizer, settings)


def batches(model: Model, sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None]) -> list[Batch]:
    """Return the arrays of the forward passes, each over sentences of like length; a row of logits a sentence."""
    groups = []
    for rows in by_length(sentences):
        words, lengths = embed([sentences[row] for row in rows], vectors, model.vector_length)
        groups.append((rows, {"words": words, "lengths": lengths}))
    return groups


def answer(model: Model, request: Request, logits: np.ndarray) -> dict[str, Any]:
    """Return the answer's fields for `logits` (texts, classes): class index, label and logits of each text."""
    predictions = logits.argmax(1).tolist()
    fields = {
        "input": request.texts,
        "prediction": predictions,
        "label": [model.config["labels"][prediction] for prediction in predictions],
        "output": logits.tolist(),
    }
    if any(request.truncated):
        fields["truncated"] = request.truncated
    return fields if request.is_list else {name: values[0] for name, values in fields.items()}
