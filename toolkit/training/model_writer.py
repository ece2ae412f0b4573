"""Model files out: the one function that writes them."""

import io
from pathlib import Path
from typing import Any

import torch

from toolkit.atomic_write import atomic_write


def write_model(
    path: Path,
    architecture: str,
    config: dict[str, Any],
    state_dict: dict[str, Any],
    overlap: dict[str, Any] | None = None,
) -> None:
    """Write a model file, whole or not at all, which `inference/model_file.py` reads.

    `config` holds everything that rebuilds the PyTorch module, `overlap` what the features of an SM-CNN need.
    """
    content = {"architecture": architecture, "config": config, "state_dict": state_dict}
    if overlap is not None:
        content["overlap"] = overlap
    written = io.BytesIO()
    torch.save(content, written)  # to memory, as of a full disk it says "unexpected pos 1600 vs 1494"
    with atomic_write(path) as file:
        file.write(written.getbuffer())
