"""The compressed library of a torch package: where it is loaded from, and what is left of it."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from inference.libtorch import WRITE_BYTES
from tests.conftest import ROOT
from toolkit.deployment.libraries import compress

LIBRARY = max(Path(ctypes.__file__).parents[1].glob("lib-dynload/*.so"), key=lambda path: path.stat().st_size)
LOAD = """
import json, threading
from inference import libtorch
before = threading.active_count()
{start}
libtorch.load()
libtorch.load()
mapped = {{line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "libtorch_cpu.so" in line}}
print(json.dumps([before, *sorted(mapped)]))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder laid out as a package, a small library in the place of libtorch_cpu.so, compressed; an empty tmp/."""
    (tmp_path / "torch/lib").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    shutil.copytree(ROOT / "inference", tmp_path / "inference")
    shutil.copy(ROOT / "tests/seccomp.py", tmp_path)
    assert LIBRARY.stat().st_size > 2 * WRITE_BYTES, "or it would be unpacked at once"
    shutil.copy(LIBRARY, tmp_path / "torch/lib/libtorch_cpu.so")
    compress(tmp_path / "torch/lib/libtorch_cpu.so")
    return tmp_path


def load_in(package: Path, start: str = "libtorch.start_unpacking()") -> subprocess.CompletedProcess[str]:
    """Run `start`, then load the library, in a process; it prints the threads before, and what is mapped after."""
    return subprocess.run(
        [sys.executable, "-c", LOAD.format(start=start)],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), "TMPDIR": str(package / "tmp")},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("start", ["", "libtorch.start_unpacking()", "libtorch.start_unpacking()\n" * 2])
def test_it_is_loaded_from_memory_whoever_began_to_unpack_it(package: Path, start: str) -> None:
    assert sorted(path.name for path in (package / "torch/lib").iterdir()) == [
        "libtorch_cpu.so.needs",
        "libtorch_cpu.so.zst",
    ]
    result = load_in(package, start)
    assert result.stdout == '[1, "/memfd:libtorch_cpu.so (deleted)"]\n', result.stderr
    assert list((package / "tmp").iterdir()) == []


def test_it_is_unpacked_once_and_in_the_background(package: Path) -> None:
    begun = "import time\nlibtorch.start_unpacking()\nwhile threading.active_count() > before: time.sleep(0.01)\n"
    gone = "libtorch.COMPRESSED.write_bytes(b'')\nlibtorch.start_unpacking()\n"
    result = load_in(package, begun + gone)
    assert result.stdout == '[1, "/memfd:libtorch_cpu.so (deleted)"]\n', result.stderr


def test_the_libraries_that_it_needs_are_loaded_before_it(package: Path) -> None:
    needed = package / "torch/lib/libneeded.libtorch_cpu.so"
    shutil.copy(LIBRARY, needed)
    (package / "torch/lib/libtorch_cpu.so.needs").write_text(f"{needed.name}\n")
    result = load_in(package)
    assert result.stdout == f'[1, "/memfd:libtorch_cpu.so (deleted)", "{needed}"]\n', result.stderr


def test_it_is_loaded_from_tmp_and_removed_where_no_memory_file_can_be_made(package: Path) -> None:
    (package / "tmp/libtorch_cpu.so").write_text("what a start that was cut off left")
    refuse = "import seccomp, sys\nif not seccomp.refuse_memfd_create(): sys.exit('no filter')\n"
    result = load_in(package, f"{refuse}libtorch.start_unpacking()")
    if result.stderr == "no filter\n":
        pytest.skip("this machine lets no process set a seccomp filter")
    assert result.stdout == f'[1, "{package}/tmp/libtorch_cpu.so (deleted)"]\n', result.stderr
    assert list((package / "tmp").iterdir()) == []


def test_it_is_loaded_from_tmp_where_memory_files_can_not_be_run(package: Path) -> None:
    start = (
        "import ctypes\n"
        "class Refusing(ctypes.CDLL):\n"
        "    def __init__(self, name, *rest):\n"
        "        if name.startswith('/proc'): raise OSError('failed to map segment from shared object')\n"
        "        super().__init__(name, *rest)\n"
        "ctypes.CDLL = Refusing"
    )
    result = load_in(package, start)
    assert result.stdout == f'[1, "{package}/tmp/libtorch_cpu.so (deleted)"]\n', result.stderr
    assert list((package / "tmp").iterdir()) == []


def test_cut_short_it_is_an_error(package: Path) -> None:
    compressed = package / "torch/lib/libtorch_cpu.so.zst"
    compressed.write_bytes(compressed.read_bytes()[:-20])
    result = load_in(package)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"EOFError: {compressed}: cut short; build the package again"


def test_where_torch_is_whole_nothing_happens(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inference", tmp_path / "inference")
    (tmp_path / "tmp").mkdir()
    assert load_in(tmp_path).stdout == "[1]\n"
