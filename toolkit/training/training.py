"""What both train.py share: word vectors in and out, batches of like length, the best epoch kept."""

import argparse
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from toolkit.cli import log, open_output
from toolkit.training.model_writer import write_model
from toolkit.vectors.file import load_vectors, read_vectors


class WordVectors(nn.Module):
    """The vectors of the training words, in one of the modes of Kim (2014, section 3.1).

    rand: random vectors, trained; static: given ones, kept; non-static: given ones, trained; multichannel:
    both, side by side. Index 0 is every unknown word and the padding, always zero.
    """

    def __init__(self, mode: str, words: Iterable[str], given: dict[str, np.ndarray], dim: int):
        """Give each of `words` a row: its vector in `given`, or a random one where the mode trains it.

        A word that is only in `given` (one of the dev set) gets a row as well, which training never touches.
        """
        super().__init__()
        trained = mode != "static"
        known = [*given, *(word for word in dict.fromkeys(words) if trained and word not in given)]
        self.index = {word: row for row, word in enumerate(known, 1)}
        vectors = torch.empty(len(known) + 1, dim).uniform_(-0.25, 0.25)  # Kim's code, for words without vector
        vectors[0] = 0
        if given:
            vectors[1 : len(given) + 1] = torch.from_numpy(np.stack(list(given.values())))
        self.dim, self.channels = dim, 2 if mode == "multichannel" else 1
        self.variance = vectors.var().item()  # of the numbers, before any is trained
        self.fixed: Tensor | None
        self.register_buffer("fixed", vectors.clone() if mode in ("static", "multichannel") else None)
        self.tuned = None
        if trained:
            self.tuned = nn.Embedding.from_pretrained(vectors, freeze=False, padding_idx=0, sparse=True)

    def indices(self, sentence: Sequence[str]) -> Tensor:
        """Return the rows of a sentence's words, int64 (words,)."""
        return torch.tensor([self.index.get(word, 0) for word in sentence])

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


def word_vectors(options: argparse.Namespace, train: set[str], dev: set[str]) -> WordVectors:
    """Return the vectors of the words of both sets that the options of `arguments` ask for."""
    given = load_vectors(options.vectors, train | dev) if options.vectors else {}
    dim = len(next(iter(given.values()))) if given else options.dim
    return WordVectors(options.mode, sorted(train), given, dim)


def export_vectors(path: Path, vectors: dict[str, np.ndarray], channels: int, source: Path | None) -> None:
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


def batches(lengths: Tensor, size: int, pool: int = 50) -> Iterator[Tensor]:
    """Yield all rows in random order as batches of up to `size` rows (int64) of like length.

    Shuffled rows are sorted by length within each `pool` batches: little padding, still random company.
    """
    chunks = []
    for rows in torch.randperm(len(lengths)).split(size * pool):
        chunks += rows[lengths[rows].argsort(stable=True)].split(size)
    for chunk in torch.randperm(len(chunks)):
        yield chunks[chunk]


def pad(sentences: Sequence[Tensor], rows: Tensor, word_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the sentences of `rows` as word indices (batch, time), 0 past each end, and lengths (batch,).

    A share `word_dropout` of the words, drawn at random, becomes unknown words.
    """
    chosen = [sentences[row] for row in rows.tolist()]
    words = nn.utils.rnn.pad_sequence(chosen, batch_first=True)
    if word_dropout:
        words = words.masked_fill(torch.rand(words.shape) < word_dropout, 0)
    return words, torch.tensor([len(sentence) for sentence in chosen])


def optimizers(network: torch.optim.Optimizer, words: WordVectors, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Return the optimizer of the network and, where words are trained, one that moves only those of the batch.

    That is plain SGD: Adam moves a rare word as far as a frequent one, to fit its few sentences. Its rate is
    `learning_rate` times the variance of the vectors, so that it does as much to large ones as to small ones.
    """
    if words.tuned is None:
        return [network]
    return [network, torch.optim.SGD(words.tuned.parameters(), learning_rate * words.variance)]


def adversarial(loss: Callable[[Tensor], Tensor], vectors: Tensor, distance: float) -> Tensor:
    """Return the `loss` of vectors near `vectors` (batch, time, numbers), the worst ones to a first approximation.

    Adversarial training (Miyato, Dai and Goodfellow 2017, section 3), without the loss of the vectors as they are:
    each sentence is moved by `distance`, the L2 norm over all of its words, to where its loss grows fastest.
    """
    if not distance:
        return loss(vectors)
    (gradient,) = torch.autograd.grad(loss(vectors.requires_grad_()), vectors)
    return loss(vectors + distance * F.normalize(gradient.flatten(1)).view_as(gradient))


class Averaged:
    """Parameters and their running average, which scores better than any one step of a noisy training.

    Polynomial-decay averaging (Shamir and Zhang 2013, section 4, η = 3): of about the last quarter of all steps.
    """

    EVERY = 10  # steps between two that count: where words are trained, averaging takes as long as a step

    def __init__(self, parameters: Iterable[nn.Parameter]):
        """Begin with the parameters as they are."""
        self.parameters, self.steps = [each.data for each in parameters], 0
        self.average = [each.clone() for each in self.parameters]

    def update(self) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps % self.EVERY == 0 or self.steps < self.EVERY:
            weight = 4 / (self.steps // self.EVERY + 3) if self.steps > self.EVERY else 1.0
            for average, parameter in zip(self.average, self.parameters, strict=True):
                average.lerp_(parameter, weight)

    def swap(self) -> None:
        """Exchange the parameters for their average, or back."""
        for average, parameter in zip(self.average, self.parameters, strict=True):
            held = parameter.clone()
            parameter.copy_(average)
            average.copy_(held)


def fit(
    modules: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    epochs: int,
    steps: int,
    losses: Callable[[], Iterable[Tensor]],
    dev_score: Callable[[], float],
    averaged: Averaged | None = None,
    checks: int = 1,
    quiet: bool = False,
) -> bool:
    """Train `modules` for `epochs` of `steps` batches, then restore the best state by `dev_score`.

    `losses` yields the loss of each batch of an epoch; the dev score is taken `checks` times in each, of the
    average of the parameters where there is one. Returns whether Ctrl-C ended the training early, with the best state
    so far; before the first check it is a KeyboardInterrupt still.
    """
    best, state, interrupted = -1.0, copy.deepcopy(modules.state_dict()), False

    def check() -> float:
        nonlocal best, state
        modules.eval()
        if averaged:
            averaged.swap()
        score = dev_score()
        if score > best:
            best, state = score, copy.deepcopy(modules.state_dict())
        if averaged:
            averaged.swap()
        modules.train()
        return score

    due = {steps * number // checks for number in range(1, checks + 1)}
    modules.train()
    with tqdm(total=epochs * steps, unit="batch", disable=True if quiet else None) as progress:
        try:
            for epoch in range(1, epochs + 1):
                total, scores = 0.0, []
                for step, loss in enumerate(losses(), 1):
                    for optimizer in optimizers:
                        optimizer.zero_grad()
                    loss.backward()
                    for optimizer in optimizers:
                        optimizer.step()
                    if averaged:
                        averaged.update()
                    total += loss.item()
                    progress.update()
                    if step in due:
                        scores.append(check())
                        progress.set_postfix_str(f"dev {scores[-1]:.4f}, best {best:.4f}")
                if not quiet:
                    line = " ".join(f"{score:.4f}" for score in scores)
                    progress.write(f"epoch {epoch}  loss {total / steps:.4f}  dev {line}")
        except KeyboardInterrupt:
            if best < 0:
                raise
            interrupted = True
            log("stopped; the best so far is kept")
    modules.load_state_dict(state)
    modules.eval()
    return interrupted


def write(
    options: argparse.Namespace,
    architecture: str,
    network: nn.Module,
    config: dict[str, Any],
    words: WordVectors,
    overlap: dict[str, Any] | None = None,
) -> None:
    """Write the model file and, when asked for, the vectors."""
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    write_model(options.output, architecture, config, state, overlap)
    if options.export_vectors:
        export_vectors(options.export_vectors, words.table(), words.channels, options.vectors)
