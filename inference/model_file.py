"""Model files in and out: a *.model file is read into a function from numpy arrays to numpy logits.

A *.model file is `torch.save` of plain data: `architecture`, `config` (all that rebuilds the module),
`state_dict` and, for SM-CNN with overlap features, `overlap`. It is read with `weights_only=True`: a model
file can't run code.
"""

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

MODULES = {"kim_cnn": ("kim_cnn.model", "KimCNN"), "sm_cnn": ("sm_cnn.model", "SMCNN")}


class ModelFileError(Exception):
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
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        try:
            torch.save(content, temporary)
            temporary.close()
            Path(temporary.name).chmod(0o644)
            Path(temporary.name).replace(path)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def load(path: Path, architecture: str) -> Model:
    """Read the model file at `path`, which must hold `architecture`; raise ModelFileError if it does not."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file; train one or set MODEL_PATH") from None
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path}: not a model file ({type(error).__name__}: {reason})") from error
    if not isinstance(content, dict) or not {"architecture", "config", "state_dict"} <= content.keys():
        raise ModelFileError(f"{path}: not a model file (no architecture, config and state_dict in it)")
    if content["architecture"] != architecture:
        raise ModelFileError(f"{path}: holds a {content['architecture']}, not a {architecture}")
    try:
        module = build(architecture, content["config"])
        module.load_state_dict(content["state_dict"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelFileError(f"{path}: config and weights do not fit: {error}") from error
    if not all(torch.isfinite(parameter).all() for parameter in module.parameters()):
        raise ModelFileError(f"{path}: has weights that are not finite numbers")
    module.eval()
    return serve(module, content["config"], content.get("overlap"))


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
