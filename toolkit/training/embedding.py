"""Word vectors in training: given ones, trained ones or both, and the trained ones written to a file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from toolkit.cli import open_output
from toolkit.vectors.file import load_vectors, read_vectors

UNKNOWN = 0  # the index of every unknown word and of the padding
RANDOM_BOUND = 0.25  # words without a vector begin uniform in ± this, as in Kim's code


class TrainableEmbedding(nn.Module):
    """The vectors of the training words, in one of the modes of Kim (2014, section 3.1).

    rand: random vectors, trained; static: given ones, kept; non-static: given ones, trained; multichannel: both, side
    by side. An unknown word is the zero vector, always.
    """

    def __init__(self, mode: str, words: Iterable[str], given: Mapping[str, np.ndarray], dim: int):
        """Give each of `words` a row: its vector in `given`, or a random one where the mode trains it.

        A word that is only in `given` (one of the dev set) gets a row as well, which training never touches.
        """
        super().__init__()
        trained = mode != "static"
        known = [*given, *(word for word in dict.fromkeys(words) if trained and word not in given)]
        self.index = {word: row for row, word in enumerate(known, UNKNOWN + 1)}
        vectors = torch.empty(len(known) + 1, dim).uniform_(-RANDOM_BOUND, RANDOM_BOUND)  # (words, dim)
        vectors[UNKNOWN] = 0
        if given:
            vectors[1 : len(given) + 1] = torch.from_numpy(np.stack(list(given.values())))
        self.mode, self.dim, self.channels = mode, dim, 2 if mode == "multichannel" else 1
        self.variance = vectors.var().item()  # of a component, before any is trained
        self.fixed: Tensor | None
        self.register_buffer("fixed", vectors.clone() if mode in ("static", "multichannel") else None)
        self.tuned = None
        if trained:
            self.tuned = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=UNKNOWN, sparse=True)

    @classmethod
    def load(cls, mode: str, path: Path | None, dim: int, train: set[str], dev: set[str]) -> "TrainableEmbedding":
        """Make the embedding of the words of both sets from the vector file at `path`.

        Without a file (mode rand) vectors have `dim` dimensions. Raises VectorFileError for a file without the words.
        """
        given = load_vectors(path, train | dev) if path else {}
        if given:
            dim = len(next(iter(given.values())))
        return cls(mode, sorted(train), given, dim)

    def optimizers(self, learning_rate: float) -> list[torch.optim.Optimizer]:
        """Return the optimizer of trained vectors, which moves only those of the batch; none for mode static.

        It is plain SGD: Adam moves a rare word as far as a frequent one, to fit its few sentences. Its rate is
        `learning_rate` times the variance of the vectors, so that it does as much to large ones as to small ones.
        """
        if self.tuned is None:
            return []
        return [torch.optim.SGD(self.tuned.parameters(), learning_rate * self.variance)]

    def indices(self, sentence: Sequence[str]) -> Tensor:
        """Return the rows of a sentence's words, int64 (words,)."""
        return torch.tensor([self.index.get(word, UNKNOWN) for word in sentence])

    def forward(self, indices: Tensor) -> Tensor:
        """Return vectors (batch, time, channels × dim) of words (batch, time)."""
        channels = [] if self.fixed is None else [self.fixed[indices]]
        if self.tuned is not None:
            channels.append(self.tuned(indices))
        return torch.cat(channels, 2)

    def table(self) -> dict[str, np.ndarray]:
        """Return each word's vector as it is now, float32 (channels × dim,), as a table would serve it."""
        channels = [] if self.fixed is None else [self.fixed]
        if self.tuned is not None:
            channels.append(self.tuned.weight.detach())
        rows = torch.cat(channels, 1).cpu().numpy()
        return {word: rows[row] for word, row in self.index.items()}


def export_vectors(path: Path, vectors: Mapping[str, np.ndarray], channels: int, source: Path | None) -> None:
    """Write `vectors` as word2vec text, and after them all other words of `source`, the file they began as.

    A word that training did not see keeps its vector, in each of the channels.
    """

    def others() -> Iterator[tuple[str, np.ndarray]]:
        if source is not None:
            for word, vector in read_vectors(source):
                if word not in vectors:
                    yield word, np.tile(vector, channels)

    count = len(vectors) + sum(1 for _ in others())
    with open_output(path) as lines:
        lines.write(f"{count} {len(next(iter(vectors.values())))}\n")
        for part in (vectors.items(), others()):
            lines.writelines(f"{word} {' '.join(map(str, vector))}\n" for word, vector in part)
