"""The deployment package script and what it is made of: usage, thin packages, library checks, stripping, unpacking."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from toolkit.deployment import archive as package_zip
from toolkit.deployment import libraries as package_libraries
from toolkit.deployment.libraries import libraries, problems, strip
from toolkit.cli import CommandError

SCRIPT = ROOT / "utils/create_deployment_package.sh"
NUMPY = Path(np.__file__).parent
MACHINE = os.uname().machine


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
        (("bert",), "no model bert"),
        (("sm_cnn", "kim_cnn"), "more than one MODEL"),
        (("sm_cnn", "--runtime", "tf"), "no runtime tf"),
        (("sm_cnn", "--arch", "mips"), "no architecture mips"),
        (("sm_cnn", "--python", "3.8"), "no Python 3.8"),
        (("sm_cnn", "--output"), "--output needs a value"),
        (("sm_cnn", "--quick"), "unknown option --quick"),
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
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_wheels_that_can_not_be_had_are_one_line(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    result = run("kim_cnn", "--torch-index", tmp_path.as_uri(), "--output", tmp_path / "p.zip", **nowhere)
    assert result.returncode == 1
    assert "no wheel of numpy==" in result.stderr and "for Python 3.13 on x86_64" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_onnx_file_is_not_for_the_torch_runtime(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    result = run("sm_cnn", "--model", tmp_path / "m.onnx", "--output", tmp_path / "p.zip")
    assert result.returncode == 2 and "m.onnx is for --runtime onnx" in result.stderr


def test_an_interpreter_without_what_it_takes_is_one_line(tmp_path: Path) -> None:
    result = run("sm_cnn", "--runtime", "onnx", "--output", tmp_path / "p.zip", PYTHON="/bin/false")
    assert result.returncode == 1
    assert "/bin/false has not all of" in result.stderr and result.stderr.count("\n") == 1


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
    monkeypatch.setattr(package_zip, "UNZIPPED_LIMIT", 1000)
    with pytest.raises(CommandError, match=r"1,001 bytes unzipped are over Lambda's limit of 1,000"):
        package_zip.write_zip(tmp_path / "package", tmp_path / "p.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_libraries_that_lambda_could_not_load_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(next((NUMPY / "fft").glob("*.so")), tmp_path / "fft.so")
    paths = libraries(tmp_path)
    assert paths == [tmp_path / "fft.so"]
    assert list(problems(paths, MACHINE)) == []
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
    assert list(problems(paths, other)) == [f"{tmp_path}/fft.so: built for {MACHINE}, not {other}"]
    monkeypatch.setitem(package_libraries.NEWEST, "GLIBC", (2, 0))
    assert any(
        "needs GLIBC_2." in line and "Amazon Linux 2023 has GLIBC 2.0" in line for line in problems(paths, MACHINE)
    )
    monkeypatch.setattr(package_libraries, "LAMBDA_HAS", frozenset())
    assert any(
        line.endswith("needs libc.so.6, which neither Lambda nor the package has") for line in problems(paths, MACHINE)
    )


def test_a_stripped_library_is_smaller_and_loads(tmp_path: Path) -> None:
    source = next((NUMPY / "_core").glob("_multiarray_umath*.so"))
    data = source.read_bytes() + bytes(1000)
    (tmp_path / "library.so").write_bytes(data)
    strip(tmp_path / "library.so")
    assert (tmp_path / "library.so").stat().st_size < len(data)
    # A processor's cache of loaded libraries goes by file: a process of its own, with numpy's libraries around.
    code = f"import ctypes, numpy; ctypes.CDLL({str(tmp_path / 'library.so')!r}).PyInit__multiarray_umath"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A folder laid out as a package, a small library in the place of libtorch_cpu.so, compressed."""
    (tmp_path / "torch/lib").mkdir(parents=True)
    shutil.copytree(ROOT / "inference", tmp_path / "inference")
    source = next(Path(ctypes.__file__).parents[1].glob("lib-dynload/_bisect*.so"))
    shutil.copy(source, tmp_path / "torch/lib/libtorch_cpu.so")
    package_libraries.compress(tmp_path / "torch/lib/libtorch_cpu.so")
    return tmp_path


def load_in(package: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "from inference import libtorch; libtorch.load(); libtorch.load()\n"
        "print('memfd:libtorch_cpu.so' in open('/proc/self/maps').read())"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package, env={**os.environ, "PYTHONPATH": str(package)},
        text=True, capture_output=True,
    )  # fmt: skip


def test_a_compressed_library_is_loaded_from_memory(packaged: Path) -> None:
    assert sorted(path.name for path in (packaged / "torch/lib").iterdir()) == [
        "libtorch_cpu.so.needs",
        "libtorch_cpu.so.zst",
    ]
    result = load_in(packaged)
    assert result.stdout == "True\n", result.stderr


def test_a_compressed_library_cut_short_is_an_error(packaged: Path) -> None:
    compressed = packaged / "torch/lib/libtorch_cpu.so.zst"
    compressed.write_bytes(compressed.read_bytes()[:-20])
    result = load_in(packaged)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"EOFError: {compressed}: cut short; build the package again"
