"""Fixtures: the local cloud behind AWS's refusals, with the sample's vectors in two tables."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.aws_strict.proxy import StrictAws, strict_cloud
from tests.conftest import ROOT, Cloud

SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"


@dataclass(frozen=True)
class StrictCloud(Cloud):
    """A local cloud that refuses what AWS refuses; `aws` is the proxy before it."""

    aws: StrictAws


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictCloud]:
    """The strict cloud, with the same vectors in the tables `word-vectors` and `others`."""
    folder = tmp_path_factory.mktemp("strict")
    packages = {"kim_cnn": folder / "kim_cnn.zip"}
    subprocess.run(
        [ROOT / "utils/create_deployment_package.sh", "kim_cnn", "--runtime", "none", "--output", packages["kim_cnn"]],
        env={**os.environ, "PYTHON": sys.executable},
        check=True,
        capture_output=True,
    )
    with strict_cloud(Path(folder / "cloud.log")) as (aws, environment):
        cloud = StrictCloud(environment, packages, aws)
        for table in ("word-vectors", "others"):
            cloud.run(ROOT / "utils/upload_word_vectors_to_dynamo.py", SAMPLE, table, "--create-table")
        yield cloud
