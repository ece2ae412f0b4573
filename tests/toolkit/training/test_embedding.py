"""Word vectors in training: every mode's, unknown words zero; exported files read back exactly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toolkit.training.embedding import TrainableEmbedding, export_vectors
from toolkit.training.options import MODES
from toolkit.vectors.file import VectorFileError, read_vectors

GIVEN = {"a": np.array([1, 2], np.float32), "b": np.array([3, 4], np.float32), "dev-only": np.ones(2, np.float32)}


@pytest.mark.parametrize("mode", MODES)
def test_unknown_words_are_zero_in_every_mode_and_stay_so(mode: str) -> None:
    embedding = TrainableEmbedding(mode, ["a", "b", "new"], {} if mode == "rand" else GIVEN, 2)
    sentence = embedding.indices(["a", "unheard-of", "new"])[None]
    optimizers = embedding.optimizers(1.0)
    if optimizers:
        embedding(sentence).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    before, after = GIVEN["a"], embedding(sentence)[0].detach().numpy()
    assert after.shape == (3, 2 * embedding.channels)
    assert not after[1].any()
    assert after[2].any() == (mode != "static")  # no vector for it: trained from a random one, or unknown
    if mode in ("static", "multichannel"):
        np.testing.assert_array_equal(after[0, :2], before)
    if mode != "static":
        assert not np.array_equal(after[0, -2:], before)
    table = embedding.table()
    np.testing.assert_array_equal(table["a"], after[0])
    if mode != "rand":
        np.testing.assert_array_equal(table["dev-only"], np.ones(2 * embedding.channels))


def test_only_the_vectors_of_both_sets_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2 3\nb 3 4 5\nc 5 6 7\n")
    embedding = TrainableEmbedding.load("static", [path], 50, {"a", "new"}, {"c"})
    assert embedding.dim == 3  # the file's
    assert {word: vector.tolist() for word, vector in embedding.table().items()} == {"a": [1, 2, 3], "c": [5, 6, 7]}
    with pytest.raises(VectorFileError, match="none of the words"):
        TrainableEmbedding.load("static", [path], 50, {"new"}, set())


def test_random_vectors_have_the_dimensions_asked_for() -> None:
    embedding = TrainableEmbedding.load("rand", [], 7, {"a", "b"}, {"dev-only"})
    assert {word: len(vector) for word, vector in embedding.table().items()} == {"a": 7, "b": 7}


def test_the_learning_rate_scales_with_the_variance_of_the_vectors() -> None:
    def step(scale: float) -> np.ndarray:
        torch.manual_seed(0)
        embedding = TrainableEmbedding("non-static", [], {word: scale * vector for word, vector in GIVEN.items()}, 2)
        network = torch.nn.Linear(2, 1)
        network.weight.data /= scale  # so that it answers the same
        (optimizer,) = embedding.optimizers(1.0)
        network(embedding(embedding.indices(["a"])[None])).sum().backward()
        optimizer.step()
        return embedding.table()["a"] / scale

    assert not np.array_equal(step(1.0), GIVEN["a"])
    np.testing.assert_allclose(step(8.0), step(1.0), rtol=1e-5)


def test_static_vectors_have_no_optimizer() -> None:
    assert TrainableEmbedding("static", [], GIVEN, 2).optimizers(1.0) == []


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(vectors=arrays.arrays(np.float32, (2, 4), elements=finite))
def test_exported_vectors_read_back_exactly_with_all_other_words_of_the_source(
    tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray
) -> None:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "source.txt").write_text("a 1 2\nrare 0.1 -7e-12\n")
    export_vectors(folder / "out.txt", {"a": vectors[0], "new": vectors[1]}, 2, [folder / "source.txt"])
    assert (folder / "out.txt").read_text().startswith("3 4\n")
    found = dict(read_vectors(folder / "out.txt"))
    assert list(found) == ["a", "new", "rare"]
    np.testing.assert_array_equal([found["a"], found["new"]], vectors)
    np.testing.assert_array_equal(found["rare"], np.array([0.1, -7e-12, 0.1, -7e-12], np.float32))


def test_side_by_side_a_word_that_one_file_lacks_is_zero_there_in_training_and_in_the_export(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("both 1 2\nfirst 3 4\nrare 5 6\n")
    (tmp_path / "b.txt").write_text("second 7 8 9\nboth 1.5 2.5 3.5\nrare 1 1 1\n")
    sources = [tmp_path / "a.txt", tmp_path / "b.txt"]
    embedding = TrainableEmbedding.load("non-static", sources, 50, {"both", "first"}, {"second"})
    expected = {"both": [1, 2, 1.5, 2.5, 3.5], "first": [3, 4, 0, 0, 0], "second": [0, 0, 7, 8, 9]}
    assert {word: vector.tolist() for word, vector in embedding.table().items()} == expected
    export_vectors(tmp_path / "out.txt", {"both": np.ones(5, np.float32)}, 1, sources)
    expected = {"both": [1] * 5, "first": [3, 4, 0, 0, 0], "rare": [5, 6, 1, 1, 1], "second": [0, 0, 7, 8, 9]}
    assert {word: vector.tolist() for word, vector in read_vectors(tmp_path / "out.txt")} == expected
