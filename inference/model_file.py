"""Model files in and out: a *.model or *.onnx file is read into a function from numpy arrays to numpy logits.

A *.model file is `torch.save` of plain data: `architecture`, `config` (all that rebuilds the module),
`state_dict` and, for SM-CNN with overlap features, `overlap`. It is read with `weights_only=True`: a model
file can't run code. An *.onnx file, made of a *.model file by utils/export_onnx.py, is run by ONNX Runtime
without torch; `architecture`, `config` and `overlap` are JSON in its metadata.
"""

import gc
import importlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference import libtorch
from toolkit.atomic_write import atomic_write

if TYPE_CHECKING:
    from torch import nn

MODULES = {"kim_cnn": ("kim_cnn.model", "KimCNN"), "sm_cnn": ("sm_cnn.model", "SMCNN")}


class ModelFileError(ValueError):
    """A model file that can't be read, or is not what was asked for; the message names the file."""


@dataclass(frozen=True)
class Model:
    """A model ready to serve: `forward` takes numpy arrays, as the module does tensors, to numpy logits."""

    config: dict[str, Any]
    forward: Callable[..., np.ndarray]
    overlap: dict[str, Any] | None = None

    @property
    def vector_length(self) -> int:
        """Numbers per word: channels × dim."""
        return int(self.config["channels"]) * int(self.config["dim"])


def build(architecture: str, config: dict[str, Any]) -> "nn.Module":
    """Make the PyTorch module of `architecture` (`kim_cnn` or `sm_cnn`) that `config` describes."""
    module, name = MODULES[architecture]
    built: nn.Module = getattr(importlib.import_module(module), name).from_config(config)
    return built


def save(path: Path, architecture: str, config: dict[str, Any], state_dict: dict[str, Any],
         overlap: dict[str, Any] | None = None) -> None:  # fmt: skip
    """Write a model file; it stands under `path` whole or not at all."""
    import torch

    content = {"architecture": architecture, "config": config, "state_dict": state_dict}
    if overlap is not None:
        content["overlap"] = overlap
    written = io.BytesIO()
    torch.save(content, written)  # to memory, as of a full disk it says "unexpected pos 1600 vs 1494"
    with atomic_write(path) as file:
        file.write(written.getbuffer())


def find(architecture: str) -> Path:
    """Return where the model file of `architecture` is: $MODEL_PATH, else beside the handlers."""
    if path := os.environ.get("MODEL_PATH"):
        return Path(path)
    model = Path(__file__).parents[1] / f"{architecture}.model"
    onnx = model.with_suffix(".onnx")  # in a package without torch, in the model file's place
    return onnx if onnx.exists() and not model.exists() else model


def load(path: Path, architecture: str) -> Model:
    """Read the model file at `path`, which must hold `architecture`; raise ModelFileError if it does not."""
    if not path.exists():
        raise ModelFileError(f"{path}: no such file; train one or set MODEL_PATH")
    if path.suffix == ".onnx":
        model = _load_onnx(path, architecture)
    else:
        module, content = read(path, architecture)
        model = serve(module, content["config"], content.get("overlap"))
    _check_overlap(path, model)
    return model


def read(path: Path, architecture: str) -> tuple["nn.Module", dict[str, Any]]:
    """Return the PyTorch module of a *.model file, ready to evaluate, and the file's content."""
    with _import_at_ease():
        libtorch.load()
        import torch

    try:
        with zipfile.ZipFile(path) as archive:
            if broken := archive.testzip():  # torch does not compare the checksums, and would serve other weights
                raise zipfile.BadZipFile(f"{broken} is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict) or not {"architecture", "config", "state_dict"} <= content.keys():
        raise ModelFileError(f"{path}: not a model file (no architecture, config and state_dict in it)")
    _check_architecture(path, content["architecture"], architecture)
    try:
        with torch.device("meta"):  # takes no memory, however large the config says it is
            module = build(architecture, content["config"])
        module.load_state_dict(content["state_dict"], assign=True)
        module.float()
    except Exception as error:
        raise ModelFileError(f"{path}: config and weights do not fit ({type(error).__name__}: {error})") from error
    if not all(torch.isfinite(parameter).all() for parameter in module.parameters()):
        raise ModelFileError(f"{path}: has weights that are not finite numbers")
    return module.eval(), content


def serve(module: "nn.Module", config: dict[str, Any], overlap: dict[str, Any] | None) -> Model:
    """Make a Model of a PyTorch module, on whichever device the module is."""
    import torch

    device = next(module.parameters()).device

    @torch.inference_mode()
    def forward(*arrays: np.ndarray) -> np.ndarray:
        inputs: list[Any] = [torch.from_numpy(array).to(device) for array in arrays]
        for place in range(1, len(arrays), 2):  # words, their lengths, words, their lengths, features
            if (arrays[place] == arrays[place - 1].shape[1]).all():
                inputs[place] = None  # no padding: nothing to mask
        logits: np.ndarray = module(*inputs).cpu().numpy()
        return logits

    return Model(config, forward, overlap)


def _load_onnx(path: Path, architecture: str) -> Model:
    with _import_at_ease():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a pass takes less time than waking a second thread
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
        holds, config, overlap = (json.loads(metadata[name]) for name in ("architecture", "config", "overlap"))
    except Exception as error:
        raise _unreadable(path, error) from error
    _check_architecture(path, holds, architecture)
    names = [node.name for node in session.get_inputs()]

    def forward(*arrays: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session.run(None, dict(zip(names, arrays, strict=True)))[0]
        return logits

    return Model(config, forward, overlap)


def _check_overlap(path: Path, model: Model) -> None:
    """Refuse a model whose overlap features can't be computed: at the start, not at every request."""
    if bool(model.config.get("features")) != (model.overlap is not None):
        raise ModelFileError(f"{path}: config and overlap do not fit: features but no data for them, or the reverse")
    if model.overlap is not None:
        from sm_cnn import overlap

        try:
            if not np.isfinite(overlap.features(model.overlap, ["word"], [["word"]])).all():
                raise ValueError("features that are not finite numbers")
        except Exception as error:
            raise ModelFileError(f"{path}: overlap can't be used ({type(error).__name__}: {error})") from error


def _unreadable(path: Path, error: Exception) -> ModelFileError:
    reason = (str(error).splitlines() or [""])[0]
    return ModelFileError(f"{path}: not a model file ({type(error).__name__}: {reason})")


def _check_architecture(path: Path, holds: Any, architecture: str) -> None:
    if holds != architecture:
        raise ModelFileError(f"{path}: holds a {holds}, not a {architecture}")


@contextmanager
def _import_at_ease() -> Iterator[None]:
    """Import a large library without garbage collection, and spare it in all collections to come.

    What is imported stays, and looking through it again and again took a fifth of torch's import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
