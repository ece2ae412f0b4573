"""Files cut short, damaged, foreign or malicious are refused at the start; a full disk leaves no half of one."""

import os
import pickle
import random
import re
import resource
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gensim.models import KeyedVectors

import kim_handler
from inference import model_file
from inference.model_file import ModelFileError
from inference.word_vectors import WordVectors
from tests.conftest import ROOT
from tests.faults.conftest import FULL, size
from toolkit.deployment.archive import write_zip
from toolkit.training import training
from utils import generate_vocab, get_most_frequent_words, word2vec_bin_to_txt

MODELS = {name: ROOT / f"{name}.model" for name in ("kim_cnn", "sm_cnn")}
both = pytest.mark.parametrize("name", MODELS)


def content(name: str) -> dict[str, Any]:
    held: dict[str, Any] = torch.load(MODELS[name], weights_only=True)
    return held


def refused(path: Path, name: str, complaint: str | None = None) -> None:
    with pytest.raises(ModelFileError, match=complaint) as error:
        model_file.load(path, name)
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
            _, held = model_file.read(path, name)
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
    module = model_file.build(name, held["config"])
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
def test_weights_and_config_of_the_wrong_kind_are_refused(name: str, tmp_path: Path) -> None:
    held, path = content(name), tmp_path / "m.model"
    first = next(iter(held["state_dict"]))
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
    arrays = np.ones((1, 7, 50), np.float32), np.array([7])
    expected = model_file.load(MODELS["kim_cnn"], "kim_cnn").forward(*arrays)
    np.testing.assert_array_equal(model_file.load(tmp_path / "m.model", "kim_cnn").forward(*arrays), expected)


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
    dim: int, format: str, put: Any, dynamodb: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The table shows its dim with the first word that is read: that request and each after it is a 500."""
    put("good", np.random.default_rng(0).normal(0, 0.4, dim), format)
    monkeypatch.setattr(kim_handler, "VECTORS", WordVectors(dynamodb, "words", 50, cache_size=10))
    for _ in range(2):
        assert kim_handler.handler({"input": "good"}, None)["statusCode"] == 500
    for record in caplog.records:
        assert "table words, 1 words to read: word 'good': " in record.getMessage()
        assert record.getMessage().endswith("of 50 numbers") or record.getMessage().endswith(f"{dim} numbers, not 50")


@pytest.mark.skipif(not FULL, reason="exporting takes long: FAULTS=full")
def test_an_onnx_file_cut_short_or_of_another_model_is_refused(tmp_path: Path) -> None:
    path, output = tmp_path / "whole.onnx", tmp_path / "m.onnx"
    export = [sys.executable, ROOT / "utils/export_onnx.py", "kim_cnn", MODELS["kim_cnn"], path]
    subprocess.run(export, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    data = path.read_bytes()
    for end in {0, 1, len(data) - 1, *random.Random(1).sample(range(len(data)), 300)}:
        output.write_bytes(data[:end])
        refused(output, "kim_cnn", "not a model file")
    refused(path, "sm_cnn", "holds a kim_cnn, not a sm_cnn")
    words = np.ones((1, 7, 50), np.float32), np.array([7])
    expected = model_file.load(MODELS["kim_cnn"], "kim_cnn").forward(*words)
    np.testing.assert_allclose(model_file.load(path, "kim_cnn").forward(*words), expected, atol=1e-5)


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """Let no file of this process grow over so many bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save_model(folder: Path, output: Path) -> None:
    held = content("kim_cnn")
    model_file.save(output, "kim_cnn", held["config"], held["state_dict"])


def export_vectors(folder: Path, output: Path) -> None:
    training.export_vectors(output, {f"w{index}": np.ones(50, np.float32) for index in range(500)}, 1, None)


def convert_vectors(folder: Path, output: Path) -> None:
    assert word2vec_bin_to_txt.main([str(folder / "vectors.bin"), str(output), "--quiet"]) == 0


def write_vocabulary(folder: Path, output: Path) -> None:
    assert generate_vocab.main([str(folder / "text.txt"), str(output)]) == 0


def write_frequent_words(folder: Path, output: Path) -> None:
    options = ["--frequency_data_file", folder / "words.csv", "--num_of_words", "9000", "--output", output]
    assert get_most_frequent_words.main(list(map(str, options))) == 0


def zip_package(folder: Path, output: Path) -> None:
    write_zip(folder, output)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the size of files")
@pytest.mark.parametrize("after", [0, 100, 10_000])
@pytest.mark.parametrize(
    "write", [save_model, export_vectors, convert_vectors, write_vocabulary, write_frequent_words, zip_package]
)
def test_on_a_full_disk_the_file_before_stays_and_no_half_of_the_new_one_is_left(
    write: Callable[[Path, Path], None], after: int, tmp_path: Path
) -> None:
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    target.mkdir()
    words = [f"w{index}" for index in range(9000)]
    vectors = KeyedVectors(50)
    vectors.add_vectors(words[:500], np.ones((500, 50), np.float32))
    vectors.save_word2vec_format(folder / "vectors.bin", binary=True)
    (folder / "text.txt").write_text(" ".join(words))
    (folder / "words.csv").write_text("word,count\n" + "".join(f"{word},2\n" for word in words))
    output = target / "file"
    output.write_text("before")
    with full_disk(after), pytest.raises(OSError, match="File too large"):
        write(folder, output)
    assert [path.name for path in target.iterdir()] == ["file"]
    assert output.read_text() == "before"
    write(folder, output)
    assert output.stat().st_size > 10_000


def test_packaging_on_a_full_disk_fails_and_leaves_the_package_before(tmp_path: Path) -> None:
    package = tmp_path / "kim_cnn.zip"
    package.write_text("before")
    script = f"ulimit -f 100; {ROOT}/utils/create_deployment_package.sh kim_cnn --runtime none --output {package}"
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert re.search(r"(?i)file ?size limit|file too large", ran.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["kim_cnn.zip"]
    assert package.read_text() == "before"
