"""From logits to what an answer says of texts."""

import numpy as np
import pytest

from kim_cnn import predict


def test_probabilities_are_right_however_large_logits_are() -> None:
    logits = np.array([[1000, 1000 - np.log(3), -1000], [-1000, -1000, -1000]], np.float32)
    shares, even = predict.softmax(logits).tolist()
    assert shares == pytest.approx([3 / 4, 1 / 4, 0], abs=1e-4)
    assert even == pytest.approx([1 / 3] * 3)
