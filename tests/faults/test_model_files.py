"""Model files cut short, damaged, foreign or malicious are refused at the start, with nothing executed."""

import os
import pickle
import random
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from architectures import PREDICT
from inference import model_file
from inference.item_format import encode_vector
from inference.model_file import ModelFileError
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.faults.conftest import FULL, size
from tests.serving import KIM, handler, post

MODELS = {name: ROOT / f"{name}.model" for name in ("kim_cnn", "sm_cnn")}
both = pytest.mark.parametrize("name", MODELS)


def content(name: str) -> dict[str, Any]:
    held: dict[str, Any] = torch.load(MODELS[name], weights_only=True)
    return held


def refused(path: Path, name: str, complaint: str | None = None) -> None:
    with pytest.raises(ModelFileError, match=complaint) as error:
        PREDICT[name].load(path)
    assert str(error.value).startswith(f"{path}: ")


@both
def test_a_model_file_that_is_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    data, path = MODELS[name].read_bytes(), tmp_path / "m.model"
    ends = {0, 1, len(data) - 1, *random.Random(1).sample(range(len(data)), size(30, 1000))}
    for end in ends:
        path.write_bytes(data[:end])
        refused(path, name, "not a model file")


@both
def test_a_model_file_with_a_wrong_bit_is_refused_or_is_the_same_model(name: str, tmp_path: Path) -> None:
    """torch alone would serve the other weights."""
    data, path, seed = MODELS[name].read_bytes(), tmp_path / "m.model", random.Random(2)
    right = content(name)
    refusals, tried = 0, size(30, 1000)
    for _ in range(tried):
        place = seed.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << seed.randrange(8)]) + data[place + 1 :])
        try:
            _, held = model_file.read(path, name, PREDICT[name].build)
        except ModelFileError:
            refusals += 1
        else:  # in the padding between the parts
            assert held["config"] == right["config"]
            assert all(torch.equal(held["state_dict"][key], value) for key, value in right["state_dict"].items())
    assert refusals > 0.8 * tried


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@both
def test_one_weight_that_is_no_number_is_refused(name: str, value: float, tmp_path: Path) -> None:
    for key in content(name)["state_dict"]:
        changed = content(name)
        changed["state_dict"][key].view(-1)[-1] = value
        torch.save(changed, tmp_path / "m.model")
        refused(tmp_path / "m.model", name, "not finite numbers")


class RunsCode:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@both
def test_no_way_to_run_code_on_loading_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.model"
    held = content(name)
    inside = [{**held, key: RunsCode()} for key in ("architecture", "config", "state_dict", "overlap")]
    inside += [{**held, "config": {**held["config"], "dim": RunsCode()}}, {**held, "more": [RunsCode()]}]
    for evil in [RunsCode(), {RunsCode(): 1}, *inside]:
        torch.save(evil, path)
        refused(path, name)
        torch.save(evil, path, _use_new_zipfile_serialization=False)
        refused(path, name)
        path.write_bytes(pickle.dumps(evil))
        refused(path, name)
    module = PREDICT[name].build(held["config"])
    torch.save(module, path)  # a whole pickled module
    refused(path, name)
    torch.save(module.state_dict(), path)
    refused(path, name, "no architecture, config and state_dict in it")
    path.with_suffix(".zip").write_bytes(MODELS[name].read_bytes())
    path.write_bytes(b"PK\x05\x06" + b"\0" * 18)  # a zip with nothing in it
    refused(path, name)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 49},
        {"dim": 0},
        {"dim": -1},
        {"dim": 10**12},  # would take all memory
        {"dim": "50"},
        {"dim": None},
        {"channels": 2},
        {"filters": 10**9},
        {"filters": 3},
        {"dropout": 7},
        {"dropout": "much"},
    ],
    ids=str,
)
@both
def test_a_config_that_does_not_fit_the_weights_is_refused(name: str, change: dict[str, Any], tmp_path: Path) -> None:
    held = content(name)
    torch.save({**held, "config": {**held["config"], **change}}, tmp_path / "m.model")
    refused(tmp_path / "m.model", name, "config and weights do not fit")


@both
def test_weights_that_are_no_floating_point_numbers_are_refused(name: str, tmp_path: Path) -> None:
    for kind in (torch.complex64, torch.int64, torch.bool):
        changed = content(name)
        changed["state_dict"] = {key: value.to(kind) for key, value in changed["state_dict"].items()}
        torch.save(changed, tmp_path / "m.model")
        refused(tmp_path / "m.model", name, "no plain tensor of floating-point numbers")


@both
def test_weights_and_config_of_the_wrong_kind_are_refused(name: str, tmp_path: Path) -> None:
    held, path = content(name), tmp_path / "m.model"
    first = next(iter(held["state_dict"]))
    change: dict[str, Any]
    for change in ({"config": None}, {"config": []}, {"config": {}}, {"state_dict": None}, {"state_dict": [1]},
                   {"state_dict": {}}, {"state_dict": {**held["state_dict"], 1: 2}},
                   {"state_dict": {**held["state_dict"], first: "weights"}},
                   {"state_dict": {**held["state_dict"], first: torch.zeros(1).expand(10**9)}},
                   {"architecture": None}, {"architecture": "vgg16"}):  # fmt: skip
        torch.save({**held, **change}, path)
        refused(path, name)
    refused(MODELS["sm_cnn" if name == "kim_cnn" else "kim_cnn"], name, f"not a {name}")


def test_weights_of_another_precision_are_served_as_float32(tmp_path: Path) -> None:
    held = content("kim_cnn")
    torch.save({**held, "state_dict": {key: value.double() for key, value in held["state_dict"].items()}},
               tmp_path / "m.model")  # fmt: skip
    inputs = {"words": np.ones((1, 7, 50), np.float32), "lengths": np.array([7])}
    expected = KIM.load(MODELS["kim_cnn"]).forward(inputs)
    np.testing.assert_array_equal(KIM.load(tmp_path / "m.model").forward(inputs), expected)


def test_a_small_file_that_would_take_much_memory_is_refused(tmp_path: Path) -> None:
    path, held = tmp_path / "m.model", content("kim_cnn")
    wide = torch.zeros(1, 1, 1).expand(10**4, 10**4, 10)  # 4 GB as float32
    name = next(iter(held["state_dict"]))
    torch.save({**held, "state_dict": {**held["state_dict"], name: wide}}, path)
    assert path.stat().st_size < 500_000
    refused(path, "kim_cnn", "no plain tensor")
    torch.save(held, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("m/data/bomb", "w") as entry:
        for _ in range(300):
            entry.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    refused(path, "kim_cnn", "over 262,144,000 bytes unpacked")


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0] * 3},
        {"mean": [float("nan")] * 4},
        {"scale": [0.0] * 4},
        {"documents": 0},
        {"documents": "many"},
        {"document_frequency": "the many"},
        {"stop_words": None},
    ],
    ids=str,
)
def test_overlap_data_that_cannot_be_used_is_refused_at_the_start(change: dict[str, Any], tmp_path: Path) -> None:
    held, path = content("sm_cnn"), tmp_path / "m.model"
    torch.save({**held, "overlap": {**held["overlap"], **change}}, path)
    refused(path, "sm_cnn", "overlap can't be used")
    torch.save({key: value for key, value in held.items() if key != "overlap"}, path)
    refused(path, "sm_cnn", "config and overlap do not fit")


@both
def test_a_handler_with_a_wrong_model_file_does_not_start(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ROOT / f"{name.removesuffix('_cnn')}_handler.py"
    for wrong in ("kim_cnn", "sm_cnn"):
        monkeypatch.setenv("MODEL_PATH", str(MODELS[wrong]))
        if wrong == name:
            assert callable(runpy.run_path(str(handler))["handler"])
        else:
            with pytest.raises(ModelFileError, match=f"holds a {wrong}, not a {name}"):
                runpy.run_path(str(handler))
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "none.model"))
    with pytest.raises(ModelFileError, match="no such file"):
        runpy.run_path(str(handler))


@pytest.mark.parametrize("dim", [25, 49, 51, 100, 200, 300])
@pytest.mark.parametrize("format", ["float32", "float16", "list"])
def test_a_table_of_another_dim_is_an_error_and_never_a_prediction(
    dim: int, format: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The table shows its dimensions with the first word that is read: that request and each after it is a 500."""
    vector = encode_vector(np.random.default_rng(0).normal(0, 0.4, dim).astype(np.float32), format)
    served = handler(KIM, FakeDynamoDB(lambda word: vector))
    for _ in range(2):
        assert post(served, input="good")[0] == 500
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert "table words, 1 words to read: word 'good': " in record.getMessage()
        assert "of 50 dimensions" in record.getMessage() or f"{dim} dimensions, not 50" in record.getMessage()


@pytest.mark.skipif(not FULL, reason="exporting takes long: FAULTS=full")
def test_an_onnx_file_cut_short_or_of_another_model_is_refused(tmp_path: Path) -> None:
    path, output = tmp_path / "whole.onnx", tmp_path / "m.onnx"
    export: list[Any] = [sys.executable, ROOT / "utils/export_onnx.py", "kim_cnn", MODELS["kim_cnn"], path]
    subprocess.run(export, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    data = path.read_bytes()
    for end in {0, 1, len(data) - 1, *random.Random(1).sample(range(len(data)), 300)}:
        output.write_bytes(data[:end])
        refused(output, "kim_cnn", "not a model file")
    refused(path, "sm_cnn", "holds a kim_cnn, not a sm_cnn")
    inputs = {"words": np.ones((1, 7, 50), np.float32), "lengths": np.array([7])}
    expected = KIM.load(MODELS["kim_cnn"]).forward(inputs)
    np.testing.assert_allclose(KIM.load(path).forward(inputs), expected, atol=1e-5)
