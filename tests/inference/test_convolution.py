"""The layer of both models: the same for a sentence alone and padded in a batch."""

import torch
from torch import nn

from inference.convolution import convolve_and_pool


def test_a_window_that_has_no_word_of_its_sentence_is_left_out() -> None:
    conv = nn.Conv2d(1, 2, (3, 4))
    words, lengths = torch.zeros(2, 9, 4), torch.tensor([2, 6])
    for sentence, length in zip(words, lengths, strict=True):
        sentence[:length] = 1
    with torch.no_grad():
        conv.weight.fill_(-1)
        conv.bias.zero_()  # type: ignore[union-attr]  # which padding alone would give, more than any word
        together = convolve_and_pool(conv, nn.Identity(), words, lengths)
        alone = [
            convolve_and_pool(conv, nn.Identity(), sentence[None, :length], None)
            for sentence, length in zip(words, lengths, strict=True)
        ]
    assert together.tolist() == torch.cat(alone).tolist() == [[-4, -4], [-4, -4]]
