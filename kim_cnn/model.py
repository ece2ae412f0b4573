"""The Kim CNN as a PyTorch module: Kim, "Convolutional Neural Networks for Sentence Classification" (2014).

Parameter names and shapes are those of Castor's kim_cnn, so that its state dicts load.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inference.convolution import convolve_and_pool

WIDTHS = (3, 4, 5)


class KimCNN(nn.Module):
    """Three filter widths, max over time, one linear layer (section 2 of the paper)."""

    def __init__(self, dim: int, classes: int, channels: int = 1, filters: int = 100, dropout: float = 0.5):
        """Build for vectors of `channels` × `dim` components a word; 2 channels is the multichannel mode."""
        super().__init__()
        conv1, conv2, conv3 = (nn.Conv2d(channels, filters, (width, dim), padding=(width - 1, 0)) for width in WIDTHS)
        self.conv1, self.conv2, self.conv3 = conv1, conv2, conv3
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(len(WIDTHS) * filters, classes)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "KimCNN":
        """Rebuild the module a model file's `config` describes."""
        return cls(config["dim"], len(config["labels"]), config["channels"], config["filters"], config["dropout"])

    def forward(self, words: Tensor, lengths: Tensor | None) -> Tensor:
        """Return logits (batch, classes) for `words` (batch, time, channels × dim) and `lengths` (batch,).

        `lengths` None: no sentence is padded.
        """
        pooled = [convolve_and_pool(conv, F.relu, words, lengths) for conv in (self.conv1, self.conv2, self.conv3)]
        strongest = self.dropout(torch.cat(pooled, 1))
        if self.training:
            return self.fc1(strongest)
        # A sentence alone and in a batch differ by rounding, most of it here, where logits of 20 are sums of 300.
        fc1 = self.fc1
        return F.linear(strongest.double(), fc1.weight.double(), fc1.bias.double()).float()
