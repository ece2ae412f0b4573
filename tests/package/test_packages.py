"""Deployment packages as Lambda runs them: unpacked read-only, in little memory, by AWS's own runtime."""

import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from tests.conftest import ROOT, Cloud
from tests.package.conftest import RUNTIME, Build, Sandbox
from toolkit.deployment.archive import DIRECT_UPLOAD_LIMIT, UNZIPPED_LIMIT

pytestmark = pytest.mark.package

HANDLERS = {"sm_cnn": "sm_handler", "kim_cnn": "kim_handler"}
ICE = "the ice facade is approximately 60 m high"
EVENTS: dict[str, list[dict[str, Any]]] = {
    "sm_cnn": [
        {"body": json.dumps({"sent1": "how are glacier caves formed", "sent2": ICE})},
        {"sent1": "how are glacier caves formed", "sent2": [ICE, "caves form when water melts the ice", "xyzzy"]},
        {"body": "not JSON"},
    ],
    "kim_cnn": [
        {"body": json.dumps({"input": "this is a very good movie"})},
        {"input": ["this is a very good movie", "a waste of time"]},
        {"body": "not JSON"},
    ],
}


def can_reach(host: str) -> bool:
    try:
        with socket.create_connection((host, 443), timeout=5):
            return True
    except OSError:
        return False


def body(answer: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(answer["body"])
    return fields


def rows(probabilities: Any) -> list[dict[str, float]]:
    """Return the probabilities of each text, of which there may be one without a list."""
    return probabilities if isinstance(probabilities, list) else [probabilities]


@pytest.fixture(scope="module")
def expected(model: str, cloud: Cloud) -> list[dict[str, Any]]:
    """What the checkout answers to EVENTS."""
    code = (
        f"import json, sys, {HANDLERS[model]} as module\n"
        "print(json.dumps([module.handler(event, None) for event in json.load(sys.stdin)]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**cloud.environment, "PYTHONPATH": str(ROOT)},
        input=json.dumps(EVENTS[model]), check=True, text=True, capture_output=True,
    )  # fmt: skip
    answers: list[dict[str, Any]] = json.loads(result.stdout.splitlines()[-1])  # after a line of the log for each
    return answers


def test_it_answers_as_the_checkout_does_cold_and_warm(
    sandbox: Sandbox, model: str, expected: list[dict[str, Any]]
) -> None:
    with sandbox.function(f"{HANDLERS[model]}.handler") as invoke:
        cold, *warm = [invoke(event) for event in (EVENTS[model][0], *EVENTS[model])]
    assert body(cold)["t_load_model"] > 0
    assert all(body(answer).get("t_load_model", 0) == 0 for answer in warm)
    for answer, wanted in zip((cold, *warm), (expected[0], *expected), strict=True):
        assert answer["statusCode"] == wanted["statusCode"]
        got, want = body(answer), body(wanted)
        assert got.keys() == want.keys()
        for name in want:
            if name in ("score", "output", "probability"):
                np.testing.assert_allclose(got[name], want[name], atol=1e-4, rtol=0)
            elif name == "probabilities":
                for ours, theirs in zip(rows(got[name]), rows(want[name]), strict=True):
                    assert ours == pytest.approx(theirs, abs=1e-4)
            elif not name.startswith("t_"):
                assert got[name] == want[name]


def test_the_sandbox_is_one(sandbox: Sandbox) -> None:
    seen = json.loads(
        sandbox.python(
            "import importlib.util, json, os, shutil\n"
            "try: open('/var/task/new', 'w')\n"
            "except OSError as error: task = error.strerror\n"
            "names = 'boto3', 'gensim', 'moto', 'pip', 'pytest', 'setuptools', 'tqdm', 'utils'\n"
            "found = [name for name in names if importlib.util.find_spec(name)]\n"
            "print(json.dumps([task, os.getuid(), shutil.disk_usage('/tmp').total, found]))"
        )
    )
    assert seen == ["Read-only file system", 993, 512 * 2**20, ["boto3"]]


def test_the_packages_boto3_is_used_and_not_the_runtimes(sandbox: Sandbox, model: str) -> None:
    seen = json.loads(
        sandbox.python(
            f"import json, {HANDLERS[model]}, boto3, botocore, sys\n"
            "sys.path = ['/var/runtime']\n"
            "from importlib.metadata import version\n"
            "print(json.dumps([boto3.__file__, botocore.__file__, boto3.__version__, version('boto3')]))"
        )
    )
    pinned = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("boto3=="))
    assert seen == [
        "/var/task/boto3/__init__.py",
        "/var/task/botocore/__init__.py",
        pinned.removeprefix("boto3=="),
        RUNTIME[1].removeprefix("boto3=="),
    ]


def test_credentials_of_a_snapshot_are_read_from_the_container_endpoint(sandbox: Sandbox) -> None:
    """SnapStart gives no keys in the environment, but the address of an endpoint that has them."""
    seen = sandbox.python(
        "import http.server, json, os, threading\n"
        "import boto3\n"
        "class Endpoint(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        body = json.dumps(dict(AccessKeyId='snap', SecretAccessKey='s', Token='t', \n"
        "                               Expiration='2099-01-01T00:00:00Z')).encode()\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(body)\n"
        "    def log_message(self, *_): pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), Endpoint)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
        "for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'): os.environ.pop(name, 0)\n"
        "os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = f'http://127.0.0.1:{server.server_port}/credentials'\n"
        "print(boto3.Session().get_credentials().access_key)"
    )
    assert seen == "snap\n"


def test_torch_starts_where_memory_files_are_refused_and_leaves_tmp_free(
    sandbox: Sandbox, runtime: str, model: str
) -> None:
    if runtime != "torch":
        pytest.skip("nothing is unpacked")
    seen = sandbox.python(
        (ROOT / "tests/seccomp.py").read_text()
        + "import os, sys\n"
        + "if not refuse_memfd_create(): sys.exit('no filter')\n"
        + f"import {HANDLERS[model]}, torch\n"
        + "print(torch.ones(2).sum().item(), os.listdir('/tmp'))"
    )
    assert seen == "2.0 []\n"


def test_memory_over_the_cap_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        sandbox.python("bytearray(1100 * 2**20)")


def test_no_module_of_the_package_has_to_be_compiled(sandbox: Sandbox, model: str) -> None:
    compiled = sandbox.python(
        "import importlib.machinery, sys\n"
        "compile, seen = importlib.machinery.SourceFileLoader.source_to_code, []\n"
        "def note(self, data, path, **options):\n"
        "    seen.append(path)\n"
        "    return compile(self, data, path, **options)\n"
        "importlib.machinery.SourceFileLoader.source_to_code = note\n"
        f"import {HANDLERS[model]}\n"
        "print([path for path in seen if path.startswith('/var/task')])"
    )
    assert compiled.strip() == "[]"


def test_sizes(package: Path, runtime: str) -> None:
    with zipfile.ZipFile(package) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= 0.9 * UNZIPPED_LIMIT
    if runtime == "onnx":
        assert package.stat().st_size < DIRECT_UPLOAD_LIMIT


def test_its_root_is_laid_out_as_the_checkout(package: Path, model: str, runtime: str) -> None:
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
    suffix = "model" if runtime == "torch" else "onnx"
    assert {f"{HANDLERS[model]}.py", f"{model}/__init__.py", f"{model}.{suffix}"} <= set(names)
    assert not any(name.startswith("torch/") for name in names) or runtime == "torch"
    assert not [name for name in names if name.endswith(("/train.py", ".pyi", ".a", ".h"))]


@pytest.mark.parametrize("rebuilt", ["torch", "onnx"])
def test_built_twice_the_bytes_are_the_same(build: Build, rebuilt: str) -> None:
    options = ("--runtime", rebuilt, "--arch", os.uname().machine.replace("aarch64", "arm64"))
    python = ("--python", f"{sys.version_info.major}.{sys.version_info.minor}")
    first, second = (build("kim_cnn", *options, *python).read_bytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("options", "machine"),
    [
        ("--runtime onnx --arch x86_64 --python 3.13", "x86_64"),
        ("--runtime onnx --arch arm64 --python 3.13", "aarch64"),
        ("--runtime onnx --arch arm64 --python 3.14", "aarch64"),
        ("--runtime torch --arch arm64 --python 3.13", "aarch64"),
    ],
)
def test_a_package_for_another_machine_has_only_its_wheels(build: Build, options: str, machine: str) -> None:
    if "torch" in options and not can_reach("download.pytorch.org"):
        pytest.skip("its wheel is at PyTorch's index, which can't be reached from here")
    package = build("sm_cnn", *options.split())
    python = options.split("--python 3.")[1][:2]
    with zipfile.ZipFile(package) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) <= 0.9 * UNZIPPED_LIMIT
        tags = [
            line.split(": ")[1]
            for name in archive.namelist() if name.endswith(".dist-info/WHEEL")
            for line in archive.read(name).decode().splitlines() if line.startswith("Tag: ")
        ]  # fmt: skip
        assert len(tags) >= 2
        for tag in tags:
            assert tag in ("py3-none-any", "py2-none-any") or (
                tag.startswith(f"cp3{python}-") and tag.endswith(f"_{machine}")
            )
        libraries = [name for name in archive.namelist() if archive.open(name).read(4) == b"\x7fELF"]
        assert len(libraries) > 5
        for name in libraries:
            with archive.open(name) as file:
                assert ELFFile(file)["e_machine"] == {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}[machine]
