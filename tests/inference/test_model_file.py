"""Model files: what is saved is served, and a wrong file is refused by name with nothing executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kim_cnn.predict
import sm_cnn.predict
from architectures import PREDICT
from inference import model_file
from inference.model_file import ModelFileError
from toolkit.training.model_writer import write_model

KIM = {"dim": 6, "channels": 1, "filters": 5, "dropout": 0.5, "labels": ["bad", "good"]}
SM = {"dim": 6, "channels": 1, "filters": 5, "width": 5, "features": False, "dropout": 0.5}


def saved(path: Path, architecture: str = "kim_cnn", config: dict[str, Any] = KIM) -> torch.nn.Module:
    module = PREDICT[architecture].build(config)
    write_model(path, architecture, config, module.state_dict())
    return module.eval()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_saved_kim_cnn_answers_as_the_module_does(tmp_path: Path, channels: int) -> None:
    module = saved(tmp_path / "m.model", config={**KIM, "channels": channels})
    model = kim_cnn.predict.load(tmp_path / "m.model")
    words = np.random.default_rng(0).normal(size=(3, 9, 6 * channels)).astype(np.float32)
    lengths = np.array([9, 9, 9])
    with torch.inference_mode():
        expected = module(torch.from_numpy(words), torch.from_numpy(lengths)).numpy()
    np.testing.assert_array_equal(model.forward({"words": words, "lengths": lengths}), expected)
    assert model.vector_length == 6 * channels


def test_a_sentence_scores_the_same_alone_and_padded_in_a_batch(tmp_path: Path) -> None:
    saved(tmp_path / "m.model")
    forward = kim_cnn.predict.load(tmp_path / "m.model").forward
    words = np.random.default_rng(0).normal(size=(2, 30, 6)).astype(np.float32)
    words[1, 1:] = 0
    together = forward({"words": words, "lengths": np.array([30, 1])})
    np.testing.assert_allclose(forward({"words": words[1:, :1], "lengths": np.array([1])}), together[1:], atol=1e-6)


def test_one_question_serves_many_answers(tmp_path: Path) -> None:
    saved(tmp_path / "m.model", "sm_cnn", SM)
    forward = sm_cnn.predict.load(tmp_path / "m.model").forward
    random = np.random.default_rng(0)
    question = {"question": random.normal(size=(1, 4, 6)).astype(np.float32), "question_lengths": np.array([4])}
    answers = random.normal(size=(3, 7, 6)).astype(np.float32)
    together = forward({**question, "answer": answers, "answer_lengths": np.array([7, 7, 7])})
    for index in range(3):
        alone = forward({**question, "answer": answers[index : index + 1], "answer_lengths": np.array([7])})
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
            kim_cnn.predict.load(Path(name))
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"title": "t"}, "card is not a dict of title, description and samples"),
        ({"title": "t", "description": 1, "samples": []}, "card has a title or description that is no text"),
        ({"title": "t", "description": "d", "samples": ["s"]}, "card has samples that are not a list of dicts"),
        ({"title": "t" * 20_000, "description": "d", "samples": []}, "card is over 16384 bytes as JSON"),
    ],
)
def test_a_card_that_cannot_be_shown_is_neither_written_nor_read(tmp_path: Path, card: Any, message: str) -> None:
    module = PREDICT["kim_cnn"].build(KIM)
    with pytest.raises(ValueError, match=message):
        write_model(tmp_path / "m.model", "kim_cnn", KIM, module.state_dict(), card=card)
    torch.save(
        {"architecture": "kim_cnn", "config": KIM, "state_dict": module.state_dict(), "card": card},
        tmp_path / "m.model",
    )
    with pytest.raises(ModelFileError, match=rf"m\.model: {message}"):
        kim_cnn.predict.load(tmp_path / "m.model")


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a", "a"], "has a label twice"), ([1, 2], "has no list of labels"), ("ab", "has no list of labels")],
)
def test_labels_that_are_not_names_of_their_own_are_refused(tmp_path: Path, labels: Any, message: str) -> None:
    saved(tmp_path / "m.model", config={**KIM, "labels": labels})
    with pytest.raises(ModelFileError, match=rf"m\.model: config {message}"):
        kim_cnn.predict.load(tmp_path / "m.model")


def test_options_of_a_config_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    saved(tmp_path / "m.model", config={**KIM, "tokenizer": {"stems": True}})
    with pytest.raises(
        ModelFileError, match=r"m\.model: config has the tokenizer {'stems': True}, not true or false for"
    ):
        kim_cnn.predict.load(tmp_path / "m.model")


def test_a_wrong_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    with pytest.raises(ModelFileError, match="no such file"):
        kim_cnn.predict.load(path)
    saved(path, "sm_cnn", SM)
    with pytest.raises(ModelFileError, match="holds a sm_cnn, not a kim_cnn"):
        kim_cnn.predict.load(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelFileError, match="not a model file"):
        sm_cnn.predict.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ModelFileError, match="no architecture, config and state_dict"):
        kim_cnn.predict.load(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("first line\nsecond line"), "ValueError: first line"), (EOFError(), "EOFError: ")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_first_line_of_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    saved(tmp_path / "m.model")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(ModelFileError) as refused:
        kim_cnn.predict.load(tmp_path / "m.model")
    assert str(refused.value) == f"{tmp_path / 'm.model'}: not a model file ({reason})"


def test_weights_that_do_not_fit_or_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    state = kim_cnn.predict.build(KIM).state_dict()
    write_model(path, "kim_cnn", {**KIM, "dim": 7}, state)
    with pytest.raises(ModelFileError, match="config and weights do not fit"):
        kim_cnn.predict.load(path)
    state["fc1.bias"][0] = torch.nan
    write_model(path, "kim_cnn", KIM, state)
    with pytest.raises(ModelFileError, match="not finite numbers"):
        kim_cnn.predict.load(path)


def test_an_interrupted_save_leaves_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.model"
    saved(path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_model(path, "kim_cnn", KIM, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_model_file_of_a_folder_is_the_one_to_serve_and_without_one_its_export(tmp_path: Path) -> None:
    assert model_file.find(tmp_path, "sm_cnn") == tmp_path / "sm_cnn.model"
    (tmp_path / "sm_cnn.onnx").touch()
    assert model_file.find(tmp_path, "sm_cnn") == tmp_path / "sm_cnn.onnx"
    assert model_file.find(tmp_path, "kim_cnn") == tmp_path / "kim_cnn.model"
    (tmp_path / "sm_cnn.model").touch()
    assert model_file.find(tmp_path, "sm_cnn") == tmp_path / "sm_cnn.model"


def test_logits_of_several_passes_come_in_the_order_of_their_rows(tmp_path: Path) -> None:
    saved(tmp_path / "m.model")
    model = kim_cnn.predict.load(tmp_path / "m.model")
    words = np.random.default_rng(0).normal(size=(5, 3, 6)).astype(np.float32)
    lengths = np.full(5, 3)
    groups = [np.array([4, 0]), np.array([2]), np.array([1, 3])]
    logits = model.logits([(rows, {"words": words[rows], "lengths": lengths[rows]}) for rows in groups])
    assert (logits.dtype, logits.shape) == (np.float32, (5, 2))
    np.testing.assert_allclose(logits, model.forward({"words": words, "lengths": lengths}), atol=1e-6)


@pytest.mark.parametrize(
    ("features", "overlap", "complaint"),
    [
        (True, None, "config and overlap do not fit"),
        (False, {"documents": 1}, "config and overlap do not fit"),
        (True, {"documents": 1}, r"overlap can't be used \(KeyError"),
        (True, {"documents": 9, "document_frequency": "", "stop_words": "", "mean": [0.0] * 4, "scale": [0.0] * 4},
         "overlap can't be used .*not finite"),
        (True, {"documents": 9, "document_frequency": "", "stop_words": "", "mean": [0.0] * 7, "scale": [1.0] * 7,
                "year_words": "", "amount_words": "", "numerals": ""},
         "overlap can't be used .*7 features, but config says True"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*encountered in divide")
def test_overlap_that_cannot_be_computed_is_refused_at_the_start(
    tmp_path: Path, features: bool, overlap: Any, complaint: str
) -> None:
    config = {**SM, "features": features}
    write_model(tmp_path / "m.model", "sm_cnn", config, sm_cnn.predict.build(config).state_dict(), overlap)
    with pytest.raises(ModelFileError, match=f"m.model: {complaint}"):
        sm_cnn.predict.load(tmp_path / "m.model")
