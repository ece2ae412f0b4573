"""What only a Kim CNN's training does: sentences counted with their phrases, and adversarial training."""

from pathlib import Path

import pytest
import torch

from inference.tokenizer import Tokenizer
from kim_cnn.dataset import Sentence
from kim_cnn.train import DATASETS, move_against, read_data


def test_whole_sentences_are_added_to_the_phrases_and_only_the_dev_set_is_cut(tmp_path: Path) -> None:
    for split, text in (("phrases.train", "a phrase"), ("train", "a whole sentence"), ("dev", "one two three four")):
        (tmp_path / f"stsa.binary.{split}.tsv").write_text(f"1\t{text}\n")
    data = read_data(tmp_path, DATASETS["sst-2"], sentence_copies=2, tokenizer=Tokenizer(max_words=2))
    whole = Sentence(["a", "whole", "sentence"], 1, "a whole sentence")
    assert data.train == [Sentence(["a", "phrase"], 1, "a phrase"), whole, whole]
    assert data.dev == [Sentence(["one", "two"], 1, "one two three four")]
    assert data.labels == ("negative", "positive")


@pytest.mark.parametrize("distance", [0.1, 3.0])
def test_vectors_move_by_a_distance_a_sentence_to_where_a_linear_loss_grows_fastest(distance: float) -> None:
    """Of a loss that is linear, moving by a distance along the gradient adds distance × its norm, a sentence."""
    vectors, slope = torch.randn(3, 4, 5, requires_grad=True), torch.randn(3, 4, 5)
    moved = move_against(vectors, (vectors * slope).sum(), distance)
    torch.testing.assert_close((moved - vectors).flatten(1).norm(dim=1), torch.full((3,), distance))
    grown = ((moved - vectors) * slope).flatten(1).sum(1)
    torch.testing.assert_close(grown, distance * slope.flatten(1).norm(dim=1))


def test_moved_vectors_train_the_words_they_came_from() -> None:
    words = torch.nn.Parameter(torch.randn(1, 2, 3))
    vectors = 2 * words
    move_against(vectors, vectors.square().sum(), 0.1).sum().backward()
    torch.testing.assert_close(words.grad, torch.full((1, 2, 3), 2.0))
