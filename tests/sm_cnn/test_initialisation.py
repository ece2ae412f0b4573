"""Initial parameters of an SM-CNN without features: it ranks by how much of the question an answer repeats."""

import pytest
import torch

from sm_cnn.initialisation import begin_with_containment
from sm_cnn.model import SMCNN


@pytest.mark.parametrize("variance", [0.01, 1.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_score_grows_with_the_words_that_are_repeated(variance: float, channels: int) -> None:
    torch.manual_seed(0)
    dim, words = 50, 8
    network = SMCNN(dim, channels, features=False).eval()
    begin_with_containment(network, variance)
    question, other = variance**0.5 * torch.randn(2, 1, words, channels * dim)
    answers = [
        torch.cat([question[:, :kept], other[:, kept:]], 1)[:, torch.randperm(words)] for kept in range(words + 1)
    ]
    with torch.no_grad():
        logits = network(question, None, torch.cat(answers), None)
    scores = logits[:, 1] - logits[:, 0]
    assert torch.corrcoef(torch.stack([scores, torch.arange(words + 1.0)]))[0, 1] > 0.6
    assert scores.argmax() == words


def test_responses_to_a_word_are_spread_as_the_constants_say() -> None:
    torch.manual_seed(0)
    network = SMCNN(50, filters=1000, features=False)
    assert network.conv_q.bias is not None
    torch.nn.init.zeros_(network.conv_q.bias)
    begin_with_containment(network, 0.25)
    word = torch.zeros(1, 1, 9, 50)
    word[:, :, 4] = 0.5 * torch.randn(50)
    with torch.no_grad():
        responses = network.conv_q(word)  # (1, filters, places, 1)
    spread = responses.std(dim=1).flatten()
    assert spread.max().item() == pytest.approx(0.67, rel=0.3)  # under the middle of the filter
    assert spread.sort().values[-2] < 0.1  # beside it
