"""Batches: every row in one of them, sentences of like length together, padded with the unknown word."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.training.batches import batches, hide, pad

sentences = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6).map(torch.tensor), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 20), st.integers(1, 5))
def test_batches_hold_every_row_once(lengths: list[int], size: int, pool: int) -> None:
    found = list(batches(torch.tensor(lengths), size, pool))
    assert sorted(torch.cat(found).tolist()) == list(range(len(lengths)))
    assert max(map(len, found)) <= size


def test_batches_hold_sentences_of_like_length_in_another_order_each_time() -> None:
    lengths = torch.randint(1, 60, (2000,))
    found = list(batches(lengths, 50))
    spread = np.mean([lengths[rows].max() - lengths[rows].min() for rows in found])
    assert spread < 5  # 58 for random batches
    assert not torch.equal(torch.cat(found), torch.cat(list(batches(lengths, 50))))


@settings(deadline=None)
@given(sentences, st.data())
def test_sentences_are_padded_with_the_unknown_word(found: list[torch.Tensor], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1))
    words, lengths = pad(found, torch.tensor(rows))
    assert words.shape == (len(rows), max(len(found[row]) for row in rows))
    for row, padded, length in zip(rows, words, lengths, strict=True):
        assert padded[:length].tolist() == found[row].tolist()
        assert not padded[length:].any()


def test_a_share_of_the_words_is_hidden_anew_each_time() -> None:
    torch.manual_seed(0)
    words = torch.ones(200, 50, dtype=torch.int64)
    first, second = (hide(words, 0.8) for _ in range(2))
    assert abs((first == 0).float().mean() - 0.2) < 0.02
    assert not torch.equal(first, second)


def test_each_sentence_can_hide_a_share_of_its_own() -> None:
    torch.manual_seed(0)
    words = torch.ones(3, 5000, dtype=torch.int64)
    shares = hide(words, torch.tensor([[1.0], [0.5], [0.2]])).float().mean(1)
    torch.testing.assert_close(shares, torch.tensor([1.0, 0.5, 0.2]), atol=0.03, rtol=0)
    assert shares[0] == 1
