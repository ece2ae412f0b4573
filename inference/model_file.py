"""Model files in: a *.model or *.onnx file is read into a function from named numpy arrays to numpy logits.

A *.model file is `torch.save` of plain data: `architecture`, `config` (all that rebuilds the module), `state_dict`,
for SM-CNN with overlap features `overlap`, `check`: a request and the logits it must get, and `card`: what the model is
for, as the demo page shows it. It is read with `weights_only=True`: a model file can't run code. An *.onnx file is run
by ONNX Runtime without torch; all but the weights is JSON in its metadata (docs/own-model.md).
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import libtorch
from inference.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import nn

Inputs = dict[str, np.ndarray]  # as the arguments of the module's `forward` and the inputs of the ONNX graph are named
Batch = tuple[np.ndarray, Inputs]  # rows of the logits, int64, and the arrays of the forward pass that computes them
Build = Callable[[dict[str, Any]], "nn.Module"]

LARGEST = 262_144_000  # bytes unpacked: what a function may hold altogether, and so more than any model served can have
METADATA = ("architecture", "config", "overlap", "check", "card")  # of an *.onnx file, as JSON
CARD_TEXTS = ("title", "description")
MOST_CARD_BYTES = 16 * 1024  # of its JSON

# The arrays that count words, and the arrays whose words they count.
LENGTHS = {"lengths": "words", "question_lengths": "question", "answer_lengths": "answer"}


class ModelFileError(ValueError):
    """A model file that can't be read, or is not what was asked for; the message names the file."""


class OtherArchitectureError(ModelFileError):
    """A model file of another architecture than was asked for."""


@dataclass(frozen=True)
class Model:
    """A model ready to serve: `forward` takes named numpy arrays, as the module does tensors, to numpy logits."""

    config: dict[str, Any]
    forward: Callable[[Inputs], np.ndarray]
    overlap: dict[str, Any] | None = None
    check: dict[str, Any] | None = None  # the fields of a `request`, and the `logits` they must get
    card: dict[str, Any] | None = None  # `title`, `description`, and `samples`: the fields of requests

    @property
    def vector_length(self) -> int:
        """Numbers per word: channels × dim."""
        return int(self.config["channels"]) * int(self.config["dim"])

    def logits(self, batches: Iterable[Batch]) -> np.ndarray:
        """Return the logits of all rows of `batches`, float32 (rows, classes), from a forward pass for each."""
        parts = [(rows, self.forward(inputs)) for rows, inputs in batches]
        logits = np.empty((sum(len(rows) for rows, _ in parts), parts[0][1].shape[1]), np.float32)
        for rows, part in parts:
            logits[rows] = part
        return logits


def find(folder: Path, architecture: str) -> Path:
    """Return the path of the model file of `architecture` in `folder`."""
    model = folder / f"{architecture}.model"
    onnx = model.with_suffix(".onnx")  # in a package without torch, in the model file's place
    return onnx if onnx.exists() and not model.exists() else model


def load(path: Path, architecture: str, build: Build) -> Model:
    """Read the model file at `path`, which must hold `architecture`; raise ModelFileError if it does not.

    `build` makes the PyTorch module that a `config` describes.
    """
    if not path.exists():
        raise ModelFileError(f"{path}: no such file; train one or set MODEL_PATH")
    if path.suffix == ".onnx":
        model = _load_onnx(path, architecture)
    else:
        module, content = read(path, architecture, build)
        about = {name: content.get(name) for name in ("overlap", "check", "card")}
        model = from_module(module, content["config"], **about)
    try:
        Tokenizer.from_config(model.config)
        if model.card is not None:
            check_card(model.card)
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: {error}") from error
    return model


def read(path: Path, architecture: str, build: Build) -> tuple["nn.Module", dict[str, Any]]:
    """Return the PyTorch module of a *.model file, ready to evaluate, and the file's content."""
    libtorch.load()
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise zipfile.BadZipFile(f"over {LARGEST:,} bytes unpacked")
            if broken := archive.testzip():  # torch does not compare the checksums, and would serve other weights
                raise zipfile.BadZipFile(f"{broken} is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict) or not {"architecture", "config", "state_dict"} <= content.keys():
        raise ModelFileError(f"{path}: not a model file (no architecture, config and state_dict in it)")
    _check_architecture(path, content["architecture"], architecture)
    try:
        for name, tensor in content["state_dict"].items():
            # A tensor that repeats its numbers (a stride of 0) is small in the file and unbounded in memory.
            if not (tensor.is_floating_point() and tensor.is_contiguous()):
                raise ValueError(f"{name} is no plain tensor of floating-point numbers")
        with torch.device("meta"):  # takes no memory, however large the config says it is
            module = build(content["config"])
        module.load_state_dict(content["state_dict"], assign=True)
        module.float()
    except Exception as error:
        raise ModelFileError(f"{path}: config and weights do not fit ({type(error).__name__}: {error})") from error
    if not all(torch.isfinite(parameter).all() for parameter in module.parameters()):
        raise ModelFileError(f"{path}: has weights that are not finite numbers")
    return module.eval(), content


def check_card(card: Any) -> None:
    """Raise ValueError for what can't be the card of a model file."""
    if not isinstance(card, dict) or card.keys() != {*CARD_TEXTS, "samples"}:
        raise ValueError("card is not a dict of title, description and samples")
    if not all(isinstance(card[name], str) for name in CARD_TEXTS):
        raise ValueError("card has a title or description that is no text")
    samples = card["samples"]
    if not isinstance(samples, list) or not all(isinstance(fields, dict) for fields in samples):
        raise ValueError("card has samples that are not a list of dicts, the fields of requests")
    if len(json.dumps(card)) > MOST_CARD_BYTES:  # raises for what JSON can't spell
        raise ValueError(f"card is over {MOST_CARD_BYTES} bytes as JSON")


def from_module(
    module: "nn.Module",
    config: dict[str, Any],
    overlap: dict[str, Any] | None = None,
    check: dict[str, Any] | None = None,
    card: dict[str, Any] | None = None,
) -> Model:
    """Make a Model of a PyTorch module, which stays on its device."""
    import torch

    device = next(module.parameters()).device

    @torch.inference_mode()
    def forward(inputs: Inputs) -> np.ndarray:
        tensors: dict[str, Any] = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
        for lengths, words in LENGTHS.items():
            if lengths in inputs and (inputs[lengths] == inputs[words].shape[1]).all():
                tensors[lengths] = None  # no padding: nothing to mask
        logits: np.ndarray = module(**tensors).cpu().numpy()
        return logits

    return Model(config, forward, overlap, check, card)


def _load_onnx(path: Path, architecture: str) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a pass takes less time than waking a second thread
    options.log_severity_level = 3  # errors
    try:
        if path.stat().st_size > LARGEST:  # its weights are not compressed
            raise ValueError(f"over {LARGEST:,} bytes")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        holds, config, *about = (json.loads(metadata.get(name, "null")) for name in METADATA)
    except Exception as error:
        raise _unreadable(path, error) from error
    _check_architecture(path, holds, architecture)
    if not isinstance(config, dict):
        raise ModelFileError(f"{path}: has no config in its metadata; utils/export_onnx.py writes one")
    sizes = [config.get(name) for name in ("channels", "dim")]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise ModelFileError(f"{path}: its config does not have the numbers channels and dim")

    def forward(inputs: Inputs) -> np.ndarray:
        logits: np.ndarray = session.run(None, inputs)[0]
        return logits

    return Model(config, forward, *about)


def _unreadable(path: Path, error: Exception) -> ModelFileError:
    reason = (str(error).splitlines() or [""])[0]
    return ModelFileError(f"{path}: not a model file ({type(error).__name__}: {reason})")


def _check_architecture(path: Path, holds: Any, architecture: str) -> None:
    if holds != architecture:
        raise OtherArchitectureError(f"{path}: holds a {holds}, not a {architecture}")
