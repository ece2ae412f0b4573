"""SM-CNN as a PyTorch module: Severyn and Moschitti, "Learning to Rank Short Text Pairs with Convolutional
Deep Neural Networks" (SIGIR 2015), without the similarity matrix, as in Castor.

Parameter names and shapes are those of Castor's sm_cnn, so that its state dicts load.
"""

from typing import Any

import torch
from torch import Tensor, nn

from inference.convolution import convolve_and_pool
from sm_cnn import overlap


class SMCNN(nn.Module):
    """A convolution each for question and answer, joined with overlap features, two layers on top."""

    def __init__(
        self,
        dim: int,
        channels: int = 1,
        filters: int = 100,
        width: int = 5,
        features: bool | int = overlap.FEATURES,
        dropout: float = 0.5,
    ):
        """Build for vectors of `channels` × `dim` components a word, with so many overlap `features`; true means 4."""
        super().__init__()
        self.conv_q = nn.Conv2d(channels, filters, (width, dim), padding=(width - 1, 0))
        self.conv_a = nn.Conv2d(channels, filters, (width, dim), padding=(width - 1, 0))
        joined = 2 * filters + overlap.count(features)
        self.combined_feature_vector = nn.Linear(joined, joined)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(joined, 2)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SMCNN":
        """Rebuild the module a model file's `config` describes."""
        return cls(
            config["dim"],
            config["channels"],
            config["filters"],
            config["width"],
            config["features"],
            config["dropout"],
        )

    def forward(
        self,
        question: Tensor,
        question_lengths: Tensor | None,
        answer: Tensor,
        answer_lengths: Tensor | None,
        features: Tensor | None = None,
    ) -> Tensor:
        """Return logits (pairs, 2), not-relevant then relevant.

        `question` is (pairs, time, channels × dim), or (1, time, channels × dim) for one question with many
        answers; `answer` (pairs, time, channels × dim); lengths count words, None when none is padded; `features`
        (pairs, features), given when the model was built with them.
        """
        q = convolve_and_pool(self.conv_q, torch.tanh, question, question_lengths)
        a = convolve_and_pool(self.conv_a, torch.tanh, answer, answer_lengths)
        joined = [q.expand(a.shape[0], -1), a] + ([] if features is None else [features])
        hidden = torch.tanh(self.combined_feature_vector(torch.cat(joined, 1)))
        logits: Tensor = self.hidden(self.dropout(hidden))
        return logits
