"""Initial parameters of an SM-CNN without overlap features: it begins by counting how much of a question is repeated.

From PyTorch's random parameters training hardly learns that; from these it learns the rest.
"""

import math

import torch

from sm_cnn.model import SMCNN

# PyTorch draws a filter's weights uniformly, with variance 1 / (3 × width × channels × dim). Of vectors with variance 1
# in a component, the word under the middle of a filter then adds a number of standard deviation s × √(1 / (3 × width))
# to its response when its weights are scaled by s.
MIDDLE = 2.6  # s of the middle: 2.6 / √15 = 0.67, which tanh, linear to about 0.5 and flat from 2, still spreads
NEIGHBOURS = 0.13  # s of the words around it, a twentieth: the response is nearly that of one word

# A hidden unit is tanh(SLOPE × (question's response − answer's response) − THRESHOLD). It is −tanh(2) = −0.96 where the
# answer responds to the filter as much as the question, 0 where it responds by 2 / 5 = 0.4 less, 0.96 by 0.8 less.
SLOPE = 5.0
THRESHOLD = 2.0
# A unit's share in each logit, with opposite signs. Of 100 filters, each that the answer misses takes up to
# 2 × 2 × 0.96 × 0.05 = 0.19 from the score, the difference of the logits, which is 0 when it misses none.
VOTE = 0.05


@torch.no_grad()
def begin_with_containment(network: SMCNN, variance: float) -> None:
    """Set the parameters so that the score falls with the number of filters that the answer responds to less.

    An answer that has all words of its question responds to no filter less than the question does, as responses are
    maxima. So both convolutions get the same random filters, nearly of one word, and the first half of the hidden
    units compares their responses, one filter a unit, and votes. `variance` is that of the vectors' components.
    """
    filters, _, width, _ = network.conv_q.weight.shape  # (filters, channels, width, dim)
    scale = torch.full((width, 1), NEIGHBOURS)
    scale[width // 2] = MIDDLE
    network.conv_q.weight *= scale / variance**0.5
    network.conv_a.load_state_dict(network.conv_q.state_dict())
    compare, vote = network.combined_feature_vector, network.hidden
    one_filter = torch.eye(filters)
    not_relevant, relevant = 1.0, -1.0  # the signs of the votes for each class
    compare.weight[:filters] = torch.cat([SLOPE * one_filter, -SLOPE * one_filter], 1)
    compare.bias[:filters] = -THRESHOLD
    vote.weight[:, :filters] = VOTE * torch.tensor([[not_relevant], [relevant]])
    vote.bias[:] = VOTE * filters * math.tanh(THRESHOLD) * torch.tensor([not_relevant, relevant])
