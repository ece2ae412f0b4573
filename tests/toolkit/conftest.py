"""Fixtures of the vector commands: progress kept in a temporary folder, vector files, a DynamoDB that misbehaves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.item_format import FORMATS
from tests.fakes.dynamodb import FakeDynamoDB


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for the progress of each test's uploads."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "serverless-inference"


@pytest.fixture
def vector_file(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file, GloVe text unless they begin with a header."""

    def write(*lines: str, name: str = "vectors.txt") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def many_words(tmp_path: Path) -> Path:
    """GloVe text of 5,000 words, 20-dimensional."""
    numbers = np.random.default_rng(0).normal(size=(5000, 20)).astype(np.float32)
    path = tmp_path / "many.txt"
    path.write_text("".join(f"word{i} {' '.join(row)}\n" for i, row in enumerate(numbers.astype(str).tolist())))
    return path


@pytest.fixture
def fake_dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDynamoDB]:
    """A table `words` that boto3 reaches over HTTP, from this process and from those it starts."""
    fake = FakeDynamoDB()
    with fake.serve() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield fake


@pytest.fixture(params=FORMATS)
def item_format(request: pytest.FixtureRequest) -> str:
    """Each of the item formats."""
    return str(request.param)
