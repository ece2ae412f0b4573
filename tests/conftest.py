"""Fixtures: no AWS account, a table in the process for units, a cloud that is as strict as AWS for end-to-end tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import numpy as np
import pytest
from moto import mock_aws

from inference.item_format import encode_vector
from tests.aws_strict.proxy import StrictAws, strict_cloud

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"  # of GloVe, for SM-CNN
KIM_VECTORS = ROOT / "data/kim_cnn.vectors.txt.gz"

# Before anything makes a client: nothing a test does can reach a real account.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

Put = Callable[..., None]


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    """A DynamoDB client on an in-process table `words`, keyed on `word`, empty."""
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="words",
            KeySchema=[{"AttributeName": "word", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.fixture
def put(dynamodb: Any) -> Put:
    """Write a word and its vector to the table `words`, in one of the item formats."""

    def put(word: str, vector: Any, format: str = "float32") -> None:
        attribute = vector if isinstance(vector, dict) else encode_vector(np.asarray(vector, np.float32), format)
        dynamodb.put_item(TableName="words", Item={"word": {"S": word}, "vector": attribute})

    return put


@dataclass(frozen=True)
class Cloud:
    """A local cloud that is up: the environment its clients need, the sample's table, thin packages to deploy.

    `aws` is what stands before it and refuses what AWS refuses.
    """

    environment: dict[str, str]
    packages: dict[str, Path]
    aws: StrictAws

    def client(self, service: str) -> Any:
        """Return a client of a service of this cloud, as the account's administrator."""
        return boto3.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Python script of the project against this cloud, from a folder that is not the project's."""
        ran = subprocess.run(
            [sys.executable, *command], env=self.environment, cwd="/", check=False, text=True, capture_output=True
        )
        assert not check or ran.returncode == 0, ran.stderr
        return ran


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def make_serve(port: int, log: Path, end: signal.Signals, **variables: str) -> Iterator[str]:
    """Run what `make serve` runs, with its variables; yield the page's URL.

    SIGINT then goes to all its processes, as from a terminal, SIGTERM to the first alone; neither leaves any behind.
    """
    process = subprocess.Popen(
        [sys.executable, "utils/local_cloud.py", "--port", str(port), "--log", log, "--", "utils/demo.sh", "--stay"],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, **variables},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield next(line.strip() for line in process.stdout if "?api=" in line)
    finally:
        (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
        process.communicate(timeout=60)  # until nothing writes to the pipe any more


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The local cloud with IAM enforced, AWS's refusals before it, and both tables of vectors."""
    folder = tmp_path_factory.mktemp("cloud")
    packages = {model: folder / f"{model}.zip" for model in ("sm_cnn", "kim_cnn")}
    script, own = ROOT / "utils/create_deployment_package.sh", {"PYTHON": sys.executable}
    at_work = [
        subprocess.Popen([script, model, "--runtime", "none", "--output", path], env={**os.environ, **own})
        for model, path in packages.items()
    ]
    assert [process.wait() for process in at_work] == [0, 0]
    hurried = patch.dict(os.environ, SFN_WAIT_SCALE="0.1")  # MiniStack's: what a state machine waits between tries
    with hurried, strict_cloud(free_port(), folder / "local_cloud.log") as (aws, environment):
        cloud = Cloud(environment, packages, aws)
        for vectors, table in ((SAMPLE, "word-vectors"), (KIM_VECTORS, "kim-vectors")):
            cloud.run(ROOT / "utils/upload_word_vectors_to_dynamo.py", vectors, table, "--create-table")
        yield cloud


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Train with one thread: batches this small take longer with two."""
    import torch  # here, as most tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
