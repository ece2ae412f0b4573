"""The deployment package script and what it is made of: usage, thin packages, stripping."""

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inference.hot_words import HotWords
from tests.conftest import KIM_VECTORS, ROOT
from toolkit.cli import CommandError
from toolkit.deployment import archive
from toolkit.deployment.libraries import strip

SCRIPT = ROOT / "utils/create_deployment_package.sh"
NUMPY = Path(np.__file__).parent


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        cwd="/",
        text=True,
        capture_output=True,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "MODEL is missing"),
        (("bert",), "no model bert: one of sm_cnn kim_cnn"),
        (("sm_cnn", "kim_cnn"), "more than one MODEL"),
        (("sm_cnn", "--runtime", "tf"), "no runtime tf"),
        (("sm_cnn", "--arch", "mips"), "no architecture mips"),
        (("sm_cnn", "--python", "3.8"), "no Python 3.8"),
        (("sm_cnn", "--output"), "--output needs a value"),
        (("sm_cnn", "--quick"), "unknown option --quick"),
        (("sm_cnn", "--hot-words", "10"), "--hot-words needs --vectors"),
        (("sm_cnn", "--hot-words", "few", "--vectors", "v.txt"), "few is no number of hot words"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr and result.stderr.count("\n") == 1


def test_help_shows_an_example() -> None:
    result = run("--help")
    assert result.returncode == 0 and "example:" in result.stdout


def test_a_missing_model_file_is_one_line(tmp_path: Path) -> None:
    result = run("sm_cnn", "--model", tmp_path / "none.model", "--output", tmp_path / "p.zip")
    assert result.returncode == 1
    assert f"{tmp_path}/none.model: no such file" in result.stderr and result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["sm_cnn", "kim_cnn"])
def test_a_thin_package_is_code_and_model_twice_the_same(tmp_path: Path, model: str) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for output in (first, second):
        result = run(model, "--runtime", "none", "--output", output)
        assert result.returncode == 0, result.stderr
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = set(archive.namelist())
        assert archive.read(f"{model}.model") == (ROOT / f"{model}.model").read_bytes()
    assert {f"{model.split('_')[0]}_handler.py", f"{model}/model.py", "inference/model_file.py"} <= names
    assert not {f"{model}/train.py", "requirements.txt"} & names
    assert result.stdout.splitlines()[0].split() == ["part", "unzipped", "zipped", "of", "the", "limit"]
    bills = [each.with_suffix(".cdx.json") for each in (first, second)]
    assert sorted(tmp_path.iterdir()) == sorted([first, second, *bills])


def test_hot_words_travel_in_the_package(tmp_path: Path) -> None:
    output, unpacked = tmp_path / "p.zip", tmp_path / "unpacked"
    options = ("--runtime", "none", "--output", output, "--vectors", KIM_VECTORS)
    words = tmp_path / "words.txt"
    words.write_text("\n".join("this is a very good movie bad".split()))  # the first six are asked for by the check
    for some, most in (((), 10_000_000 // 200), (("--hot-words", "7"), 7), (("--hot-words-from", words), 7)):
        result = run("kim_cnn", *options, *some)
        assert result.returncode == 0, result.stderr
        with zipfile.ZipFile(output) as archive:
            archive.extractall(unpacked)
        hot = HotWords.open(unpacked / "hot_words")
        assert hot and 0 < len(hot.sample(10**6)) <= most
        assert (hot.length, hot.source["file"]) == (50, KIM_VECTORS.name)
    assert hot and sorted(hot.find(["good", "bad", "movie", "the"])) == ["bad", "good", "movie"]
    words.write_text("good\nbad\nmovie\n")
    refused = run("kim_cnn", *options, "--hot-words-from", words)
    assert refused.returncode == 1
    assert "the word list lacks ['a', 'is', 'this', 'very'], which the model's check asks the table" in refused.stderr
    assert run("kim_cnn", *options, "--hot-words", "0").returncode == 0
    with zipfile.ZipFile(output) as archive:
        assert not [name for name in archive.namelist() if name.startswith("hot_words")]


def test_other_vectors_than_the_model_s_are_not_packed(tmp_path: Path) -> None:
    longer = tmp_path / "longer.txt"
    longer.write_text("good" + " 1" * 60 + "\n")
    for vectors, message in (
        (ROOT / "data/glove.6B.50d.sample.txt.gz", "not the vectors that the model was trained with"),
        (longer, "60-dimensional vectors, but the model was trained on 50"),
    ):
        result = run("kim_cnn", "--runtime", "none", "--vectors", vectors, "--output", tmp_path / "p.zip")
        assert result.returncode == 1
        assert f"{vectors}: {message}" in result.stderr and result.stderr.count("\n") == 1
        assert not (tmp_path / "p.zip").exists()


def test_wheels_that_can_not_be_had_are_one_line(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    for options, message in {
        ("--torch-index", tmp_path.as_uri()): "no wheel of torch==",
        ("--runtime", "onnx"): "no wheels for Python 3.13 on x86_64",
    }.items():
        result = run("kim_cnn", *options, "--output", tmp_path / "p.zip", **nowhere)
        assert result.returncode == 1
        assert message in result.stderr and "for Python 3.13 on x86_64" in result.stderr
        assert ("--runtime onnx does without" in result.stderr) == (options[0] == "--torch-index")
        assert result.stderr.count("\n") == 1
        assert not list(tmp_path.iterdir())


def wheel(folder: Path, name: str, version: str, tag: str) -> None:
    """Write a wheel of a higher build number than any that is published, which would change what is packaged."""
    folder.mkdir(exist_ok=True)
    about = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{about}-99-{tag}.whl", "w") as file:
        file.writestr(f"{name.replace('-', '_')}/__init__.py", "PWNED = 1\n")
        file.writestr(f"{about}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{about}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{about}.dist-info/RECORD", "")


def test_a_library_that_was_swapped_is_refused(tmp_path: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for name in ("boto3", "botocore", "jmespath", "numpy", "onnxruntime", "python-dateutil", "s3transfer", "six"):
        (version,) = re.findall(rf"(?m)^{name}==(\S+)", lock)
        wheel(tmp_path / "swapped", name, version, "py3-none-any")
    (version,) = re.findall(r"(?m)^urllib3==(\S+)", lock)
    wheel(tmp_path / "swapped", "urllib3", version, "py3-none-any")
    elsewhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "swapped"), "PIP_CONFIG_FILE": os.devnull}
    result = run("kim_cnn", "--runtime", "onnx", "--output", tmp_path / "p.zip", **elsewhere)
    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (tmp_path / "p.zip").exists()


@pytest.mark.parametrize("version", ["the one that is locked", "2.10.0+cpu"])
def test_a_pytorch_that_was_swapped_is_refused(tmp_path: Path, version: str) -> None:
    """Where pip looks by its settings, there is another build under the name: no hash fits, or none is known."""
    locked = (ROOT / "requirements-torch.lock").read_text()
    chosen = re.findall(r"(?m)^torch==(\S+)", locked)[0] if version == "the one that is locked" else version
    wheel(tmp_path / "swapped", "torch", chosen, "cp311-cp311-manylinux_2_28_x86_64")
    (tmp_path / "index").mkdir()
    options = ["--python", "3.11", "--torch", chosen, "--torch-index", (tmp_path / "index").as_uri()]
    elsewhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "swapped")}
    result = run("kim_cnn", *options, "--output", tmp_path / "p.zip", **elsewhere)
    assert result.returncode == 1
    assert f"no wheel of torch=={chosen} for Python 3.11 on x86_64" in result.stderr
    assert not (tmp_path / "p.zip").exists()


def test_an_onnx_file_is_not_for_the_torch_runtime(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    result = run("sm_cnn", "--model", tmp_path / "m.onnx", "--output", tmp_path / "p.zip")
    assert result.returncode == 2 and "m.onnx is for --runtime onnx" in result.stderr


@pytest.mark.parametrize(
    ("runtime", "content", "reason"),
    [
        ("none", b"", "not a model file"),
        ("torch", b"", "not a model file"),
        ("onnx", (ROOT / "kim_cnn.model").read_bytes()[:-1000], "not a model file"),
        ("none", (ROOT / "sm_cnn.model").read_bytes(), "holds a sm_cnn, not a kim_cnn"),
    ],
    ids=["empty", "empty for torch", "cut", "another architecture"],
)
def test_what_is_no_model_is_not_packaged(tmp_path: Path, runtime: str, content: bytes, reason: str) -> None:
    (tmp_path / "mine.model").write_bytes(content)
    result = run("kim_cnn", "--runtime", runtime, "--model", tmp_path / "mine.model", "--output", tmp_path / "p.zip")
    assert result.returncode == 1
    assert f"{tmp_path}/mine.model: {reason}" in result.stderr and result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.model"]


def test_an_interpreter_without_what_it_takes_is_one_line(tmp_path: Path) -> None:
    result = run("sm_cnn", "--runtime", "onnx", "--output", tmp_path / "p.zip", PYTHON="/bin/false")
    assert result.returncode == 1
    assert "/bin/false lacks libraries of" in result.stderr and result.stderr.count("\n") == 1


def test_an_interrupted_build_leaves_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "out" / "p.zip"
    output.parent.mkdir()
    output.write_bytes(b"the one before")
    hanging = tmp_path / "python"
    hanging.write_text(f"#!/bin/sh\n[ $1 = -c ] && exit\ntouch {tmp_path}/reached\nexec sleep 60\n")
    hanging.chmod(0o755)
    process = subprocess.Popen(
        [SCRIPT, "sm_cnn", "--runtime", "none", "--output", output],
        env={**os.environ, "PYTHON": str(hanging)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "reached").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(20) == 130
    assert output.read_bytes() == b"the one before"
    assert list(output.parent.iterdir()) == [output]


def test_a_package_over_the_limit_is_refused_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "big").write_bytes(bytes(1001))
    monkeypatch.setattr(archive, "UNZIPPED_LIMIT", 1000)
    with pytest.raises(CommandError, match=r"1,001 bytes unzipped are over Lambda's limit of 1,000"):
        archive.write_zip(tmp_path / "package", tmp_path / "p.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_a_stripped_library_is_smaller_and_loads(tmp_path: Path) -> None:
    source = next((NUMPY / "_core").glob("_multiarray_umath*.so"))
    data = source.read_bytes() + bytes(1000)
    (tmp_path / "library.so").write_bytes(data)
    strip(tmp_path / "library.so")
    assert (tmp_path / "library.so").stat().st_size < len(data)
    # A processor's cache of loaded libraries goes by file: a process of its own, with numpy's libraries around.
    code = f"import ctypes, numpy; ctypes.CDLL({str(tmp_path / 'library.so')!r}).PyInit__multiarray_umath"
    subprocess.run([sys.executable, "-c", code], check=True)
