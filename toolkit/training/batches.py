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


def pad(sentences: Sequence[Tensor], rows: Tensor, word_dropout: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the sentences of `rows` as word indices (batch, time), unknown past each end, and lengths (batch,).

    A share `word_dropout` of the words, drawn at random, becomes unknown words.
    """
    chosen = [sentences[row] for row in rows.tolist()]
    words = nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=UNKNOWN)
    if word_dropout:
        words = words.masked_fill(torch.rand(words.shape) < word_dropout, UNKNOWN)
    return words, torch.tensor([len(sentence) for sentence in chosen])


def thin(words: Tensor, lengths: Tensor, whole: int) -> Tensor:
    """Return `words` (batch, time) with some of each long sentence, drawn at random, made unknown words.

    A sentence of up to `whole` words keeps all; one of n keeps √(whole × n) on average.
    """
    kept = (whole / lengths).clamp(max=1).sqrt()  # (batch,)
    return words.masked_fill(torch.rand(words.shape) >= kept[:, None], UNKNOWN)
