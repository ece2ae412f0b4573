"""Model files: what is saved is served, and a wrong file is refused by name with nothing executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference import model_file
from inference.model_file import ModelFileError

KIM = {"dim": 6, "channels": 1, "filters": 5, "dropout": 0.5, "labels": ["bad", "good"]}
SM = {"dim": 6, "channels": 1, "filters": 5, "width": 5, "features": False, "dropout": 0.5}


def saved(path: Path, architecture: str = "kim_cnn", config: dict[str, Any] = KIM) -> torch.nn.Module:
    module = model_file.build(architecture, config)
    model_file.save(path, architecture, config, module.state_dict())
    return module.eval()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_saved_kim_cnn_answers_as_the_module_does(tmp_path: Path, channels: int) -> None:
    module = saved(tmp_path / "m.model", config={**KIM, "channels": channels})
    model = model_file.load(tmp_path / "m.model", "kim_cnn")
    words = np.random.default_rng(0).normal(size=(3, 9, 6 * channels)).astype(np.float32)
    lengths = np.array([9, 9, 9])
    with torch.inference_mode():
        expected = module(torch.from_numpy(words), torch.from_numpy(lengths)).numpy()
    np.testing.assert_array_equal(model.forward(words, lengths), expected)
    assert model.vector_length == 6 * channels


def test_a_sentence_scores_the_same_alone_and_padded_in_a_batch(tmp_path: Path) -> None:
    saved(tmp_path / "m.model")
    forward = model_file.load(tmp_path / "m.model", "kim_cnn").forward
    words = np.random.default_rng(0).normal(size=(2, 30, 6)).astype(np.float32)
    words[1, 1:] = 0
    together = forward(words, np.array([30, 1]))
    np.testing.assert_allclose(forward(words[1:, :1], np.array([1])), together[1:], atol=1e-6)


def test_one_question_serves_many_answers(tmp_path: Path) -> None:
    saved(tmp_path / "m.model", "sm_cnn", SM)
    forward = model_file.load(tmp_path / "m.model", "sm_cnn").forward
    random = np.random.default_rng(0)
    question = random.normal(size=(1, 4, 6)).astype(np.float32), np.array([4])
    answers = random.normal(size=(3, 7, 6)).astype(np.float32), np.array([7, 7, 7])
    together = forward(*question, *answers)
    for index in range(3):
        alone = forward(*question, answers[0][index : index + 1], answers[1][:1])
        np.testing.assert_allclose(alone, together[index : index + 1], atol=1e-6)


class Malicious:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def test_a_model_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"architecture": "kim_cnn", "config": KIM, "state_dict": Malicious()}, "zip.model")
    Path("pickle.model").write_bytes(pickle.dumps(Malicious()))
    for name in ("zip.model", "pickle.model"):
        with pytest.raises(ModelFileError, match=f"{name}: not a model file"):
            model_file.load(Path(name), "kim_cnn")
    assert not Path("executed").exists()


def test_a_wrong_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    with pytest.raises(ModelFileError, match="no such file"):
        model_file.load(path, "kim_cnn")
    saved(path, "sm_cnn", SM)
    with pytest.raises(ModelFileError, match="holds a sm_cnn, not a kim_cnn"):
        model_file.load(path, "kim_cnn")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelFileError, match="not a model file"):
        model_file.load(path, "sm_cnn")
    torch.save([1, 2], path)
    with pytest.raises(ModelFileError, match="no architecture, config and state_dict"):
        model_file.load(path, "kim_cnn")


def test_weights_that_do_not_fit_or_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    state = model_file.build("kim_cnn", KIM).state_dict()
    model_file.save(path, "kim_cnn", {**KIM, "dim": 7}, state)
    with pytest.raises(ModelFileError, match="config and weights do not fit"):
        model_file.load(path, "kim_cnn")
    state["fc1.bias"][0] = torch.nan
    model_file.save(path, "kim_cnn", KIM, state)
    with pytest.raises(ModelFileError, match="not finite numbers"):
        model_file.load(path, "kim_cnn")


def test_an_interrupted_save_leaves_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.model"
    saved(path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        model_file.save(path, "kim_cnn", KIM, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
