"""What only a Kim CNN's training does: the Treebank's sentences, moved vectors, class weights, the dev score."""

import math
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from kim_cnn import train
from kim_cnn.dataset import Sentence
from kim_cnn.train import (
    SENTENCE_COPIES,
    Recipe,
    balanced,
    dev_score,
    move_against,
    read_treebank,
    shown,
    vector_rate,
)


def test_whole_sentences_of_the_treebank_are_added_to_the_phrases(tmp_path: Path) -> None:
    for split, text in (("phrases.train", "a phrase"), ("train", "a whole sentence"), ("dev", "one two")):
        (tmp_path / f"stsa.binary.{split}.tsv").write_text(f"1\t{text}\n")
    data = read_treebank(tmp_path, "sst-2")
    assert [row.text for row in data.train] == ["a phrase", *["a whole sentence"] * SENTENCE_COPIES]
    assert [(row.text, row.label) for row in data.dev] == [("one two", "positive")]
    assert data.labels == ["negative", "positive"]


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


def test_balanced_weights_make_classes_count_alike() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    weights = balanced(labels)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0]))
    torch.testing.assert_close(weights[labels].mean(), torch.tensor(1.0))


def test_vectors_of_long_texts_learn_faster_where_words_are_hidden() -> None:
    short, long = torch.tensor([10, 30]), torch.tensor([50, 150])
    recipe = Recipe(epochs=1, vector_learning_rate=30.0, whole=50)
    assert vector_rate(recipe, short) == 30
    assert vector_rate(recipe, long) == 60
    assert vector_rate(Recipe(epochs=1, vector_learning_rate=30.0), long) == 30


def test_short_texts_are_shown_whole_and_of_long_ones_a_share() -> None:
    lengths = torch.tensor([1, 50, 200, 800])
    torch.testing.assert_close(shown(lengths, 50) * lengths, torch.tensor([1.0, 50.0, 100.0, 200.0]))


def test_of_states_with_equal_accuracy_the_surer_scores_higher(monkeypatch: pytest.MonkeyPatch) -> None:
    model, dev = Mock(), [Sentence(["a"], 0), Sentence(["b"], 1)]
    found = []
    for scale in (1.0, 2.0):
        logits = np.array([[scale, 0], [0, scale]], np.float32)
        monkeypatch.setattr(train, "scores", lambda *_, logits=logits: logits)
        assert dev_score(model, dev, "accuracy", with_loss=False) == 1
        found.append(dev_score(model, dev, "accuracy", with_loss=True))
    assert found == pytest.approx([(1 + 1 / (1 + math.exp(-scale))) / 2 for scale in (1, 2)])
