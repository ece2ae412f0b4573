"""Batches of sentences of like length, padded."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from toolkit.training.embedding import UNKNOWN

POOL = 50  # batches: of that many, sorted by length, sentences differ by few words and still meet random others


def batches(lengths: Tensor, size: int, pool: int = POOL) -> Iterator[Tensor]:
    """Yield all rows in random order as batches of up to `size` rows (int64) of like length.

    Shuffled rows are sorted by length within each `pool` batches: little padding, and still random company.
    """
    chunks = []
    for rows in torch.randperm(len(lengths)).split(size * pool):
        chunks += rows[lengths[rows].argsort(stable=True)].split(size)
    for chunk in torch.randperm(len(chunks)):
        yield chunks[chunk]


def pad(sentences: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sentences of `rows` as word indices (batch, time), unknown past each end, and lengths (batch,)."""
    chosen = [sentences[row] for row in rows.tolist()]
    words = nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=UNKNOWN)
    return words, torch.tensor([len(sentence) for sentence in chosen])


def hide(words: Tensor, shown: float | Tensor) -> Tensor:
    """Return `words` (batch, time), each with the probability `shown`, one or (batch, 1), or else the unknown word."""
    return words.masked_fill(torch.rand(words.shape) >= shown, UNKNOWN)
