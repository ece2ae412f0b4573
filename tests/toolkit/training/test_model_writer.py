"""The check that goes into a model file: a request that every deployment can answer, with its logits."""

import numpy as np

from tests.serving import KIM, committed
from toolkit.training.model_writer import make_check

VECTORS = {word: np.full(50, 0.1, np.float32) for word in ("a", "good", "movie")}


def test_a_check_is_the_first_request_whose_words_all_have_vectors() -> None:
    requests = [
        {"input": "a bad movie"},
        {"input": ""},
        {"input": "a " * 257},
        {"input": "A good movie"},
        {"input": "a"},
    ]
    check = make_check(KIM, committed(KIM), requests, VECTORS)
    assert check is not None
    assert check["request"] == {"input": "A good movie"}
    ((_, inputs),) = KIM.batches(committed(KIM), [["a", "good", "movie"]], VECTORS)
    np.testing.assert_allclose(check["logits"], committed(KIM).forward(inputs), atol=1e-4)
    assert all(value == round(value, 4) for value in check["logits"][0]), "the same file on every processor"


def test_without_such_a_request_there_is_no_check() -> None:
    assert make_check(KIM, committed(KIM), [{"input": "bad"}], VECTORS) is None
