"""The Kim CNN as a PyTorch module."""

import random

import numpy as np

from kim_cnn import predict
from tests.conftest import KIM_VECTORS
from tests.serving import KIM, committed
from toolkit.vectors.file import load_vectors


def test_logits_do_not_depend_on_the_sentences_of_the_same_pass_by_more_than_one_rounding(one_thread: None) -> None:
    model = committed(KIM)
    words = "a very good bad movie plot river is not about caves ice the slow unheardof".split()
    drawn = random.Random(1)
    sentences = [drawn.choices(words, k=drawn.randint(1, 60)) for _ in range(1000)]
    vectors = load_vectors(KIM_VECTORS, set(words), model.vector_length)
    together = model.logits(predict.batches(model, sentences, vectors))
    alone = np.concatenate([model.logits(predict.batches(model, [sentence], vectors)) for sentence in sentences])
    assert np.abs(together - alone).max() <= np.spacing(np.abs(together).max())
