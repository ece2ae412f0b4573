"""A full disk leaves the file before and no half of the new one."""

import os
import re
import resource
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

from tests.conftest import ROOT
from toolkit.deployment.archive import write_zip
from toolkit.training import embedding
from toolkit.training.model_writer import write_model
from utils import generate_vocab, get_most_frequent_words, word2vec_bin_to_txt


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
    embedding.export_vectors(output, {f"w{index}": np.ones(50, np.float32) for index in range(500)}, 1, None)


def convert_vectors(folder: Path, output: Path) -> None:
    assert word2vec_bin_to_txt.main([str(folder / "vectors.bin"), str(output), "--quiet"]) == 0


def write_vocabulary(folder: Path, output: Path) -> None:
    assert generate_vocab.main([str(folder / "text.txt"), str(output)]) == 0


def write_frequent_words(folder: Path, output: Path) -> None:
    options: list[Any] = ["--frequency_data_file", folder / "words.csv", "--num_of_words", "9000", "--output", output]
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
