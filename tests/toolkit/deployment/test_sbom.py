"""The bill of materials names what is in a package, in CycloneDX's schema."""

import hashlib
import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from toolkit.deployment.archive import write_zip
from toolkit.deployment.sbom import bill


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    for name, licence in (("Some_Library", "License-Expression: MIT AND BSD-3-Clause"), ("other", "License: Dual")):
        metadata = folder / f"{name}-1.2.dist-info/METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{licence}\n")
    (folder / "handler.py").write_text("")
    return folder


def test_it_names_every_library_with_version_and_licence_and_the_zip_with_its_digest(
    package: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "model.zip"
    write_zip(package, archive)
    text = bill(package, archive)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    content = json.loads(text)
    about = content["metadata"]["component"]
    assert (about["name"], about["hashes"][0]["content"]) == (
        "model.zip",
        hashlib.sha256(archive.read_bytes()).hexdigest(),
    )
    assert {(each["purl"], json.dumps(each["licenses"])) for each in content["components"]} == {
        ("pkg:pypi/some-library@1.2", '[{"expression": "MIT AND BSD-3-Clause"}]'),
        ("pkg:pypi/other@1.2", '[{"license": {"name": "Dual"}}]'),
    }


def test_the_same_package_has_the_same_bill(package: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    write_zip(package, archive)
    assert bill(package, archive) == bill(package, archive)
