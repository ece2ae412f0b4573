"""From logits to what an answer says of pairs."""

import numpy as np

from sm_cnn import predict


def test_of_answers_that_score_the_same_the_first_ranks_best() -> None:
    scores = np.tile(np.array([[0, 1], [0, 0], [1, 0]], np.float32), (20, 1))
    places = np.arange(60)
    assert predict.ranking(scores).tolist() == [*places[::3], *places[1::3], *places[2::3]]
