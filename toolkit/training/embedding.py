"""Word vectors in training: given ones, trained ones or both, and the trained ones written to a file."""

import itertools
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from toolkit.cli import open_output
from toolkit.vectors.file import Record, VectorFile, load_vectors
from toolkit.vectors.text import to_line, to_text, write_text

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
        self.unseen: dict[str, np.ndarray] = {}  # vectors (channels × dim,) of words that only a test set has
        self.variance = vectors.var().item()  # of a component, before any is trained
        self.fixed: Tensor | None
        self.register_buffer("fixed", vectors.clone() if mode in ("static", "multichannel") else None)
        self.tuned = None
        if trained:
            self.tuned = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=UNKNOWN, sparse=True)

    @classmethod
    def load(
        cls, mode: str, paths: Sequence[Path], dim: int, train: set[str], dev: set[str], test: Set[str] = frozenset()
    ) -> "TrainableEmbedding":
        """Make the embedding of the words of all sets from the vector files at `paths`, side by side.

        Without a file (mode rand) vectors have `dim` dimensions. Raises VectorFileError for a file without the words.
        """
        found = load_side_by_side(paths, train | dev | test)
        given = {word: vector for word, vector in found.items() if word in train or word in dev}
        if given:
            dim = len(next(iter(given.values())))
        embedding = cls(mode, sorted(train), given, dim)
        embedding.unseen = {
            word: np.tile(vector, embedding.channels) for word, vector in found.items() if word not in embedding.index
        }
        return embedding

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
        return {word: rows[row] for word, row in self.index.items()} | self.unseen


def load_side_by_side(paths: Sequence[Path], words: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the vectors of `words`, float32 (the files' dimensions in all,), as the files at `paths` have them.

    A word that only some files have is zero in the place of the others.
    """
    words = set(words)
    sets = [load_vectors(path, words) for path in paths]
    zeros = [np.zeros_like(next(iter(vectors.values()))) for vectors in sets]
    known = dict.fromkeys(word for vectors in sets for word in vectors)
    return {
        word: np.concatenate([vectors.get(word, zero) for vectors, zero in zip(sets, zeros, strict=True)])
        for word in known
    }


def export_vectors(path: Path, vectors: Mapping[str, np.ndarray], channels: int, sources: Sequence[Path]) -> None:
    """Write `vectors` as word2vec text, and after them all other words of `sources`, the files they began as.

    A word that training did not see keeps its vector, in each of the channels. Of several sources all but the first
    are held in memory.
    """
    dim = len(next(iter(vectors.values())))
    trained = itertools.starmap(to_line, vectors.items())
    with (
        open_output(path) as output,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent) as lines,
    ):
        # The header counts the lines, which are made once only: reading the sources takes longer than copying.
        count = 0
        for line in itertools.chain(trained, _other_lines(vectors, channels, sources)):
            lines.write(line)
            count += 1
        lines.seek(0)
        write_text(output, count, dim, lines)


def _other_lines(trained: Container[str], channels: int, sources: Sequence[Path]) -> Iterator[str]:
    """Yield the lines of the words of `sources` that are not in `trained`.

    Numbers are copied as they stand in a text file: parsing and printing those of 400,000 words takes half a minute.
    """
    files = [VectorFile(source) for source in sources]
    zeros = [" ".join(["0"] * file.dim) for file in files]
    beside: list[dict[str, str]] = []  # of each file after the first
    for file in files[1:]:
        beside.append({})
        for record in file.records():
            beside[-1].setdefault(file.word(record), _numbers(file, record))
    for file in files[:1]:
        for record in file.records():
            word = file.word(record)
            if word not in trained:
                numbers = [
                    _numbers(file, record),
                    *(table.pop(word, zero) for table, zero in zip(beside, zeros[1:], strict=True)),
                ]
                yield f"{word} {' '.join(numbers * channels)}\n"
    for word in dict.fromkeys(itertools.chain(*beside)):
        if word not in trained:
            numbers = [zeros[0], *(table.get(word, zero) for table, zero in zip(beside, zeros[1:], strict=True))]
            yield f"{word} {' '.join(numbers * channels)}\n"


def _numbers(file: VectorFile, record: Record) -> str:
    return to_text(file.vector(record)) if file.binary else record.values.decode(errors="replace")
