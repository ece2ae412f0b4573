"""What a training gives: a model that is served from memory, and its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from inference import model_file
from toolkit.cli import log
from toolkit.training.embedding import TrainableEmbedding, export_vectors
from toolkit.training.model_writer import write_model


@dataclass
class TrainedModel:
    """A PyTorch module with all that its model file holds, and the vectors it was trained with."""

    architecture: str
    config: dict[str, Any]
    network: nn.Module
    embedding: TrainableEmbedding
    overlap: dict[str, Any] | None = None
    interrupted: bool = False  # by Ctrl-C; the state is the best until then

    def served(self) -> model_file.Model:
        """Return the model as a function would serve it; it changes as training goes on."""
        return model_file.from_module(self.network, self.config, self.overlap)

    def write(
        self,
        output: Path,
        check: dict[str, Any] | None,
        card: dict[str, Any] | None = None,
        vectors: Path | None = None,
        sources: Sequence[Path] = (),
    ) -> None:
        """Write the model file and, to `vectors` if it is given, the vectors, which began as `sources`; say so."""
        state = {name: value.cpu() for name, value in self.network.state_dict().items()}
        write_model(output, self.architecture, self.config, state, self.overlap, check, card)
        log(f"{output}: the model")
        if vectors:
            export_vectors(vectors, self.embedding.table(), self.embedding.channels, sources)
            log(f"{vectors}: the vectors to upload for it")
