"""Old checkpoints: the tensors of a module pickled whole, and nothing in the pickle is run."""

import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import kim_cnn.predict
import sm_cnn.predict
from tests.sm_cnn.test_dataset import write
from toolkit.cli import CommandError
from utils.convert_castor_checkpoint import MAGIC, PROTOCOL, main, read_checkpoint

DATA = os.environ.get("SERVERLESS_INFERENCE_DATA")
REAL = Path(DATA or "", "checkpoints", "sm_cnn.w2v-aquaint.TrecQA.2017-06-19.model")


class QAModel(nn.Module):
    """The layers of Castor's SM-CNN of 2017, in the form it had then: Conv1d in Sequential."""

    def __init__(self, filters: int = 6, dim: int = 4, features: int = 4) -> None:
        super().__init__()
        self.conv_q = nn.Sequential(nn.Conv1d(dim, filters, 5, padding=4), nn.Tanh())
        self.conv_a = nn.Sequential(nn.Conv1d(dim, filters, 5, padding=4), nn.Tanh())
        joined = 2 * filters + features
        self.combined_feature_vector = nn.Linear(joined, joined)
        self.combined_features_activation = nn.Tanh()
        self.dropout = nn.Dropout(0.25)
        self.hidden = nn.Linear(joined, 2)
        self.logsoftmax = nn.LogSoftmax(dim=1)

    def forward(self, question: torch.Tensor, answer: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        joined = [self.conv_q(question).amax(2), self.conv_a(answer).amax(2), features]
        hidden = self.combined_features_activation(self.combined_feature_vector(torch.cat(joined, 1)))
        return self.logsoftmax(self.hidden(self.dropout(hidden)))


class KimCNN(nn.Module):
    """The layers of Castor's Kim CNN, with the word vectors inside."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(2, 5, (w, 4), padding=(w - 1, 0)) for w in (3, 4, 5))
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(15, 3)


def pickle_whole(module: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Save a module as torch before 1.6 did, as if its class were defined in the Python module `model`."""
    fake = types.ModuleType("model")
    setattr(fake, type(module).__name__, type(module))
    monkeypatch.setitem(sys.modules, "model", fake)
    monkeypatch.setattr(type(module), "__module__", "model")
    with pytest.warns(UserWarning, match="source code"):
        torch.save(module, path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.skipif(not REAL.exists(), reason="SERVERLESS_INFERENCE_DATA is not set")
def test_the_tensors_of_a_real_checkpoint_are_those_that_were_read_from_it_before() -> None:
    _, arrays = read_checkpoint(REAL)
    expected = np.load(f"{REAL}.npz")
    assert set(arrays) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(arrays[name], expected[name])


def test_a_converted_sm_cnn_scores_as_the_module_that_was_pickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = QAModel().eval()
    old = pickle_whole(module, tmp_path / "old.model", monkeypatch)
    data = write(tmp_path / "data")
    assert main([str(old), str(tmp_path / "new.model"), "--overlap-data", str(data)]) == 0
    model = sm_cnn.predict.load(tmp_path / "new.model")
    assert model.overlap is not None
    assert model.config["dropout"] == 0.25
    random = np.random.default_rng(0)
    question, answer, features = (
        random.normal(size=shape).astype(np.float32) for shape in ((2, 7, 4), (2, 9, 4), (2, 4))
    )
    ours = model.forward(
        {
            "question": question,
            "question_lengths": np.array([7, 7]),
            "answer": answer,
            "answer_lengths": np.array([9, 9]),
            "features": features,
        }
    )
    with torch.inference_mode():
        theirs = module(*(torch.from_numpy(x).transpose(1, 2) for x in (question, answer)), torch.from_numpy(features))
    np.testing.assert_allclose(torch.log_softmax(torch.from_numpy(ours), 1), theirs, atol=1e-5)


def test_a_kim_cnn_is_converted_without_the_vectors_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = KimCNN()
    old = pickle_whole(module, tmp_path / "old.pt", monkeypatch)
    assert main([str(old), str(tmp_path / "new.model"), "--labels", "bad", "fair", "good"]) == 0
    model = kim_cnn.predict.load(tmp_path / "new.model")
    assert model.config["labels"] == ["bad", "fair", "good"]
    assert model.vector_length == 8
    content = torch.load(tmp_path / "new.model", weights_only=True)["state_dict"]
    assert not any(name.startswith("embed") for name in content)
    for name, tensor in content.items():
        old_tensor = module.state_dict()[name]  # its first channel is the trained one, ours the second
        assert torch.equal(tensor, old_tensor.flip(1) if tensor.ndim == 4 else old_tensor)


def test_an_sm_cnn_with_features_needs_data_to_fit_them_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = pickle_whole(QAModel(), tmp_path / "old.model", monkeypatch)
    with pytest.raises(SystemExit) as stopped:
        main([str(old), str(tmp_path / "new.model")])
    assert stopped.value.code == 2
    bare = pickle_whole(QAModel(features=0), tmp_path / "bare.model", monkeypatch)
    assert main([str(bare), str(tmp_path / "new.model")]) == 0


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_code_in_a_pickle_is_refused_by_name_and_not_run(tmp_path: Path, place: int) -> None:
    parts: list[Any] = [MAGIC, PROTOCOL, {"little_endian": True}, None, []]
    parts[place] = Attack(tmp_path / "executed")
    (tmp_path / "evil.model").write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(CommandError, match=r"evil\.model: refused: it holds posix\.system"):
        read_checkpoint(tmp_path / "evil.model")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("path", ["builtins.eval", "torch.hub.load", "torch.nn.functional.relu", "model.Popen"])
def test_only_what_a_model_is_made_of_is_known(tmp_path: Path, path: str) -> None:
    module, _, name = path.rpartition(".")
    evil = f"c{module}\n{name}\n.".encode()
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True}))
    (tmp_path / "evil.model").write_bytes(head + evil)
    with pytest.raises(CommandError, match=f"refused: it holds {path}"):
        read_checkpoint(tmp_path / "evil.model")


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (4, (1,), (1,)), (0, (2,), (1000,)), (2, (2,), (-1,)), (-1, (1,), (1,))],
)
def test_a_tensor_that_reaches_outside_its_storage_is_refused(
    tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    def dumped(value: Any) -> bytes:
        return pickle.dumps(value, 2)[2:-1]  # without PROTO and STOP

    storage = b"(" + dumped("storage") + b"ctorch\nFloatStorage\n" + dumped("0") + dumped("cpu") + dumped(4) + b"NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + storage + dumped(offset) + dumped(size) + dumped(stride) + b"tR"
    state = b"}" + dumped("_parameters") + b"}" + dumped("weight") + tensor + b"ss"
    module = b"\x80\x02cmodel\nQAModel\n)\x81" + state + b"b."
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True}))
    numbers = (4).to_bytes(8, "little") + np.zeros(4, "<f4").tobytes()
    (tmp_path / "crafted.model").write_bytes(head + module + pickle.dumps(["0"], 2) + numbers)
    with pytest.raises(CommandError, match="outside its storage"):
        read_checkpoint(tmp_path / "crafted.model")


@pytest.mark.parametrize("size", [0, 10, 2000, -4])
def test_a_file_of_another_kind_or_cut_short_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    old = pickle_whole(QAModel(), tmp_path / "old.model", monkeypatch)
    old.write_bytes(old.read_bytes()[:size])
    with pytest.raises(
        CommandError, match=r"old\.model: not a model pickled by torch 0\.1 to 0\.4|refused: the numbers end too early"
    ):
        read_checkpoint(old)
    buffer = io.BytesIO()
    torch.save({"a": 1}, buffer)
    old.write_bytes(buffer.getvalue())
    with pytest.raises(CommandError, match=r"old\.model: not a model pickled by torch 0\.1 to 0\.4"):
        read_checkpoint(old)


def test_layers_of_neither_model_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = QAModel()
    del module.conv_q
    old = pickle_whole(module, tmp_path / "old.model", monkeypatch)
    with pytest.raises(
        CommandError, match="neither SM-CNN nor Kim CNN: its layers are combined_feature_vector, conv_a"
    ):
        main([str(old), str(tmp_path / "new.model")])
