"""What is installed, committed and deployed: pinned with hashes, without secrets, and nothing that is not needed."""

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, Cloud

SECRETS = {
    "AWS access key": rb"\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE\b)[A-Z0-9]{16}\b",
    "AWS secret key": rb"(?i)aws_secret_access_key\W{1,4}(?![A-Za-z0-9/+]*EXAMPLE)[A-Za-z0-9/+]{40}\b",
    "private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY",
    "GitHub token": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})",
    "Slack token": rb"\bxox[abpr]-[A-Za-z0-9-]{10,}",
    "Google API key": rb"\bAIza[A-Za-z0-9_-]{35}\b",
    "PyPI token": rb"\bpypi-AgEI[A-Za-z0-9_-]{50,}",
    "password in an address": rb"[a-z]+://[^\s/:@{}$]+:[^\s/:@{}$]{4,}@[a-z0-9]",
}


def secrets(data: bytes) -> list[str]:
    return [name for name, pattern in SECRETS.items() if re.search(pattern, data)]


def pins(path: Path) -> dict[str, set[str]]:
    """Return the versions each distribution is pinned to."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", path.read_text()):
        found.setdefault(re.sub(r"[._-]+", "-", name.lower()), set()).add(version)
    return found


def test_the_patterns_find_what_they_are_for() -> None:
    for text in ("AKIA" + "Q" * 16, "aws_secret_access_key = " + "a1" * 20, "-----BEGIN RSA " + "PRIVATE KEY-----",
                 "ghp_" + "a" * 36, "https://user:" + "secret@host"):  # fmt: skip
        assert secrets(text.encode()), text
    assert not secrets(b"AKIAIOSFODNN7EXAMPLE https://example.org:443/a@b")


def test_no_file_of_the_repository_holds_a_secret() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    assert "sm_handler.py" in names
    files = [ROOT / name for name in names if (ROOT / name).is_file()]
    assert {str(path): found for path in files if (found := secrets(path.read_bytes()))} == {}
    private = re.compile(r"(^|/)(\.env|\.aws|credentials|id_rsa|.*\.pem|.*\.key|\.netrc|\.pypirc)(/|$)")
    assert [name for name in names if private.search(name)] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_the_lock_file_has_it_with_hashes(name: str) -> None:
    lock = pins(ROOT / "requirements.lock")
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r"))]
    pinned = pins(ROOT / name)
    assert len(pinned) == len(lines) > 0, "a requirement without =="
    pinned.pop("torch", None)  # its builds differ from index to index
    assert {name: lock.get(name) for name in pinned} == pinned


def test_the_lock_file_has_hashes_for_everything() -> None:
    entries = re.split(r"(?m)^(?=\w)", (ROOT / "requirements.lock").read_text())[1:]
    assert len(entries) > 50
    assert [entry.split(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("model", ["sm_cnn", "kim_cnn"])
def test_the_package_holds_what_a_request_needs_and_nothing_else(model: str, cloud: Cloud) -> None:
    with zipfile.ZipFile(cloud.packages[model]) as package:
        names = package.namelist()
        held = {name: package.read(name) for name in names}
    expected = {
        "LICENSE",
        f"{model.removesuffix('_cnn')}_handler.py",
        f"{model.removesuffix('_cnn')}_batch.py",
        f"{model}.model",
        f"{model}/__init__.py",
        f"{model}/model.py",
        f"{model}/predict.py",
    }
    expected |= {f"inference/{path.name}" for path in (ROOT / "inference").glob("*.py")}
    if model == "sm_cnn":
        expected.add("sm_cnn/overlap.py")
    assert sorted(names) == sorted(expected)
    assert {name: found for name, data in held.items() if (found := secrets(data))} == {}
    for name, data in held.items():
        assert str(ROOT).encode() not in data, f"{name} names a folder of the machine that built it"
        assert not re.search(
            rb"(?m)^\s*(?:import|from) (?:tests|utils|toolkit|bench|moto|pytest|hypothesis|gensim|tqdm)\b", data
        ), name
