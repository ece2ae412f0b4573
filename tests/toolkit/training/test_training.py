"""What both train.py share: every row in some batch, vectors of every mode, exported files that read back exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.training.options import MODES
from toolkit.training.training import Averaged, WordVectors, adversarial, batches, export_vectors, optimizers, pad
from toolkit.vectors.file import VectorFileError, load_vectors, read_vectors

GIVEN = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32), "dev-only": np.ones(2, np.float32)}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 20), st.integers(1, 5))
def test_batches_hold_every_row_once(lengths: list[int], size: int, pool: int) -> None:
    found = list(batches(torch.tensor(lengths), size, pool))
    assert sorted(torch.cat(found).tolist()) == list(range(len(lengths)))
    assert max(map(len, found)) <= size


def test_batches_hold_sentences_of_like_length_in_another_order_each_time() -> None:
    lengths = torch.randint(1, 60, (2000,))
    found = list(batches(lengths, 50))
    spread = np.mean([lengths[rows].max() - lengths[rows].min() for rows in found])
    assert spread < 5  # 58 for random batches
    assert not torch.equal(torch.cat(found), torch.cat(list(batches(lengths, 50))))


def test_sentences_are_padded_with_the_unknown_word() -> None:
    words, lengths = pad([torch.tensor([1]), torch.tensor([2, 3]), torch.tensor([4])], torch.tensor([1, 2]))
    assert words.tolist() == [[2, 3], [4, 0]]
    assert lengths.tolist() == [2, 1]


def test_the_average_is_that_of_the_last_quarter() -> None:
    parameter = torch.nn.Parameter(torch.zeros(()))
    averaged = Averaged([parameter])
    for value in range(1, 1001):
        parameter.data.fill_(value)
        averaged.update()
        if value == 3:
            averaged.swap()
            assert parameter.item() == 3  # too few steps for an average
            averaged.swap()
    averaged.swap()
    assert 750 < parameter.item() < 875
    averaged.swap()
    assert parameter.item() == 1000


@pytest.mark.parametrize("mode", MODES)
def test_unknown_words_are_zero_in_every_mode_and_stay_so(mode: str) -> None:
    words = WordVectors(mode, ["a", "b", "new"], {} if mode == "rand" else GIVEN, 2)
    sentence = words.indices(["a", "unheard-of", "new"])[None]
    if words.tuned is not None:
        optimizer = torch.optim.SGD(words.tuned.parameters(), 0.1)
        words(sentence).sum().backward()
        optimizer.step()
    before, after = GIVEN["a"], words(sentence)[0].detach().numpy()
    assert after.shape == (3, 2 * words.channels)
    assert not after[1].any()
    assert after[2].any() == (mode != "static")  # no vector for it: trained from a random one, or unknown
    if mode in ("static", "multichannel"):
        np.testing.assert_array_equal(after[0, :2], before)
    if mode != "static":
        assert not np.array_equal(after[0, -2:], before)
    table = words.table()
    np.testing.assert_array_equal(table["a"], after[0])
    if mode != "rand":
        np.testing.assert_array_equal(table["dev-only"], np.ones(2 * words.channels))


def test_exported_vectors_read_back_exactly_with_all_other_words_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "source.txt").write_text("a 1 2\nrare 0.1 -7e-12\n")
    vectors = {"a": np.array([0.1, 1 / 3, -1e-30, 3e8], np.float32), "new": np.zeros(4, np.float32)}
    export_vectors(tmp_path / "out.txt", vectors, 2, tmp_path / "source.txt")
    found = dict(read_vectors(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_text().startswith("3 4\n")
    assert list(found) == ["a", "new", "rare"]
    np.testing.assert_array_equal(found["a"], vectors["a"])
    np.testing.assert_array_equal(found["rare"], np.array([0.1, -7e-12, 0.1, -7e-12], np.float32))


def test_only_the_wanted_vectors_are_loaded_and_wrong_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\nb 3 4\n")
    assert list(load_vectors(path, ["b", "c"])) == ["b"]
    with pytest.raises(VectorFileError, match=r"vectors\.txt: vectors of 2 numbers, but the model was trained on 3"):
        load_vectors(path, ["a"], 3)
    with pytest.raises(VectorFileError, match="none of the words"):
        load_vectors(path, ["c"])


def test_vectors_are_trained_at_a_rate_that_goes_by_their_size() -> None:
    def step(scale: float) -> np.ndarray:
        torch.manual_seed(0)
        words = WordVectors("non-static", [], {word: scale * vector for word, vector in GIVEN.items()}, 2)
        network = torch.nn.Linear(2, 1)
        network.weight.data /= scale  # so that it answers the same
        for optimizer in optimizers(torch.optim.SGD(network.parameters(), 0.0), words, 1.0):
            network(words(words.indices(["a"])[None])).sum().backward()
            optimizer.step()
        return words.table()["a"] / scale

    assert not np.array_equal(step(1.0), GIVEN["a"])
    np.testing.assert_allclose(step(8.0), step(1.0), rtol=1e-5)


def test_static_vectors_have_no_optimizer() -> None:
    network = torch.optim.SGD(torch.nn.Linear(2, 1).parameters(), 0.1)
    assert optimizers(network, WordVectors("static", [], GIVEN, 2), 1.0) == [network]


def test_adversarial_training_takes_the_loss_of_vectors_moved_against_it() -> None:
    """Of a loss that is linear, moving by a distance along the gradient adds distance × its norm, a sentence."""
    vectors, slope = torch.randn(3, 4, 5), torch.randn(3, 4, 5)

    def loss(vectors: torch.Tensor) -> torch.Tensor:
        return (vectors * slope).sum()

    grown = adversarial(loss, vectors, 0.1) - loss(vectors)
    assert grown.item() == pytest.approx(0.1 * slope.flatten(1).norm(dim=1).sum().item(), rel=1e-4)


@pytest.mark.parametrize("distance", [0.0, 0.1])
def test_adversarial_training_trains_the_words_as_well_as_the_network(distance: float) -> None:
    words = WordVectors("non-static", [], GIVEN, 2)
    network = torch.nn.Linear(2, 1)
    adversarial(lambda vectors: network(vectors).square().sum(), words(words.indices(["a"])[None]), distance).backward()
    assert words.tuned is not None
    assert words.tuned.weight.grad.to_dense().abs().sum() > 0
    assert network.weight.grad.abs().sum() > 0
