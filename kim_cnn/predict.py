"""Kim CNN from words to scores: the one way, which the handler and evaluate.py both take."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import model_file
from inference.explanation import by_sentence, without_each
from inference.fields import Request, explain_field, texts_field
from inference.model_file import Batch, Inputs, Model, ModelFileError
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
    model = model_file.load(path, ARCHITECTURE, build)
    labels = model.config.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ModelFileError(f"{path}: config has no list of labels")
    if len(set(labels)) < len(labels):
        raise ModelFileError(f"{path}: config has a label twice; each class needs a name of its own")
    if path.suffix == ".onnx":  # any network may be in it
        word: Inputs = {"words": np.zeros((1, 1, model.vector_length), np.float32), "lengths": np.ones(1, np.int64)}
        try:
            shape = model.forward(word).shape
        except Exception as error:
            raise ModelFileError(f"{path}: the graph does not take words and lengths ({error})") from error
        if shape != (1, len(labels)):
            raise ModelFileError(f"{path}: gives logits of the shape {shape}, not {(1, len(labels))}, one a label")
    return model


def read(fields: dict[str, Any], tokenizer: Tokenizer, settings: Settings) -> Request:
    """Return the texts of `input`, a string or a list of strings; raise RequestError for what can't be answered."""
    request = texts_field(fields, "input", tokenizer, settings)
    words = sum(map(len, request.sentences))
    return request._replace(explain=explain_field(fields, request.sentences, words, settings))


def batches(
    model: Model, sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray | None]
) -> Iterator[Batch]:
    """Yield the arrays of the forward passes, each over sentences of like length; a row of logits a sentence."""
    for rows in by_length(sentences):
        words, lengths = embed([sentences[row] for row in rows], vectors, model.vector_length)
        yield rows, {"words": words, "lengths": lengths}


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probability of each class for `logits`, both (texts, classes)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares


def answer(model: Model, request: Request, logits: np.ndarray) -> dict[str, Any]:
    """Return the answer's fields for `logits` (texts, classes): class, label, probabilities and logits of each text."""
    labels = model.config["labels"]
    predictions = logits.argmax(1).tolist()
    fields = {
        "input": request.texts,
        "prediction": predictions,
        "label": [labels[prediction] for prediction in predictions],
        "probabilities": [dict(zip(labels, row, strict=True)) for row in softmax(logits).tolist()],
        "output": logits.tolist(),
    }
    if any(request.truncated):
        fields["truncated"] = request.truncated
    return fields if request.is_list else {name: values[0] for name, values in fields.items()}


def of_rows(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the answers to lists of texts say of each, as a row of a file has it."""
    return [
        {"predicted": label, "probabilities": probabilities}
        for answer in answers
        for label, probabilities in zip(answer["label"], answer["probabilities"], strict=True)
    ]


def explain(
    model: Model, request: Request, vectors: Mapping[str, np.ndarray | None], logits: np.ndarray
) -> dict[str, Any]:
    """Return `words`, those of each text, and `influence`, how much each raised the probability of the text's class.

    That is the probability with all words less the probability without this one.
    """
    sentences = request.sentences
    left = softmax(model.logits(batches(model, list(without_each(sentences)), vectors)))  # (words, classes)
    text = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])  # of each word
    label = logits.argmax(1)[text]
    influence = by_sentence(softmax(logits)[text, label] - left[np.arange(len(left)), label], sentences)
    if request.is_list:
        return {"words": sentences, "influence": influence}
    return {"words": sentences[0], "influence": influence[0]}
