"""A full disk leaves the file before and no half of the new one."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import ROOT
from toolkit.cli import open_output
from toolkit.deployment.archive import write_zip
from toolkit.training import embedding
from toolkit.training.model_writer import write_model


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
    held = torch.load(ROOT / "kim_cnn.model", weights_only=True)
    write_model(output, "kim_cnn", held["config"], held["state_dict"])


def export_vectors(folder: Path, output: Path) -> None:
    embedding.export_vectors(output, {f"w{index}": np.ones(50, np.float32) for index in range(500)}, 1, [])


def write_text(folder: Path, output: Path) -> None:
    with open_output(output) as text:
        text.writelines(f"w{index}\n" for index in range(9000))


def zip_package(folder: Path, output: Path) -> None:
    write_zip(folder, output)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the size of files")
@pytest.mark.parametrize("after", [0, 100, 10_000])
@pytest.mark.parametrize("write", [save_model, export_vectors, write_text, zip_package])
def test_on_a_full_disk_the_file_before_stays_and_no_half_of_the_new_one_is_left(
    write: Callable[[Path, Path], None], after: int, tmp_path: Path
) -> None:
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    target.mkdir()
    (folder / "text.txt").write_text(" ".join(f"w{index}" for index in range(9000)))
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
