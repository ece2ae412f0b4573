"""Fixtures: deployment packages with libraries, and AWS's own emulator of the Lambda runtime to run them in."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Cloud, free_port
from tests.package import python
from tests.package.python import NoPythonError, Python

SCRIPT = ROOT / "utils/create_deployment_package.sh"
ARCH = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
MEMORY = 1024 * 2**20  # bytes
# What Lambda's runtime brings: its client, and boto3, in another version than the package's own.
RUNTIME = ["awslambdaric==4.2.2", "boto3==1.40.76", "botocore==1.40.76"]
EMULATOR = "aws-sam-cli==1.170.0"  # has the binaries of the Runtime Interface Emulator; nothing else of it is used
# The Python that `make package` builds for, and Lambda's default with the library that has wheels for it everywhere.
PROVEN = list(dict.fromkeys([("torch", python.HERE), ("onnx", python.HERE), ("onnx", python.LAMBDA)]))

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a package with the project's script."""

    def build(model: str, *options: str, path: str = os.environ["PATH"]) -> Path:
        output = tmp_path_factory.mktemp("package") / f"{model}.zip"
        environment = {**os.environ, "PYTHON": sys.executable, "PATH": path}
        subprocess.run([SCRIPT, model, "--output", output, *options], env=environment, check=True)
        return output

    return build


@pytest.fixture(scope="session", params=["sm_cnn", "kim_cnn"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session", params=PROVEN, ids="-".join)
def proven(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A library that runs the model, and the version of Python below it."""
    pair: tuple[str, str] = request.param
    return pair


@pytest.fixture(scope="session")
def runtime(proven: tuple[str, str]) -> str:
    return proven[0]


@pytest.fixture(scope="session")
def interpreter(proven: tuple[str, str]) -> Python:
    try:
        return python.find(proven[1])
    except NoPythonError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def package(build: Build, model: str, runtime: str, interpreter: Python) -> Path:
    """The package for this machine's processor and the Python it is proven on; from $PACKAGES if it was built there."""
    if (built := os.environ.get("PACKAGES")) and interpreter.version == python.HERE:
        return Path(built).absolute() / runtime / f"{model}.zip"
    options = ("--runtime", runtime, "--arch", ARCH, "--python", interpreter.version)
    return build(model, *options, path=interpreter.path)


@pytest.fixture(scope="session")
def lambda_runtime(tmp_path_factory: pytest.TempPathFactory, interpreter: Python) -> Path:
    """A folder with what Lambda's runtime brings, and the emulator's binary beside it."""
    folder, wheels = tmp_path_factory.mktemp("runtime"), tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    target = ["--target", str(folder), "--python-version", interpreter.version, "--only-binary", ":all:"]
    subprocess.run([*pip, "install", *target, *RUNTIME], check=True, capture_output=True)
    subprocess.run([*pip, "download", "--no-deps", "--dest", wheels, EMULATOR], check=True, capture_output=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        (folder / "aws-lambda-rie").write_bytes(wheel.read(f"samcli/local/rapid/aws-lambda-rie-{ARCH}"))
    (folder / "aws-lambda-rie").chmod(0o755)
    folder.chmod(0o755)  # the function runs as another user
    return folder


@dataclass(frozen=True)
class Sandbox:
    """Where commands run as a Lambda function would; see lambda_sandbox.sh."""

    task: Path
    runtime: Path
    root: Path
    interpreter: Python
    environment: dict[str, str]

    def command(self, *command: str) -> list[str]:
        """Return the command line that runs `command` in the sandbox, as the function's user."""
        environment = {
            **{name: value for name, value in self.environment.items() if name.startswith("AWS_")},
            "LAMBDA_TASK_ROOT": "/var/task",
            "LD_LIBRARY_PATH": "/var/lang/lib",
            "PATH": "/var/lang/bin:/usr/bin:/bin",
            "PYTHONHOME": "/var/lang",
            "PYTHONPATH": "/var/task:/var/runtime",
        }
        return [
            "unshare", "--mount", str(Path(__file__).with_name("lambda_sandbox.sh")),
            str(self.root), str(self.interpreter.system), str(self.task), str(self.runtime),
            str(self.interpreter.prefix),
            "/usr/bin/env", "--ignore-environment", "--chdir=/var/task",
            *(f"{name}={value}" for name, value in environment.items()), *command,
        ]  # fmt: skip

    @property
    def executable(self) -> str:
        """Python's path in the sandbox."""
        return f"/var/lang/bin/python{self.interpreter.version}"

    def python(self, code: str) -> str:
        """Run Python code in the sandbox; return what it prints."""
        command = self.command(self.executable, "-S", "-c", code)
        with memory_group() as join:
            return subprocess.run(command, preexec_fn=join, check=True, stdout=subprocess.PIPE, text=True).stdout

    @contextmanager
    def function(self, handler: str) -> Iterator[Callable[[Any], Any]]:
        """Run `handler` under AWS's runtime emulator and client; yield what posts an event and returns the answer."""
        port = free_port()
        command = self.command(
            "/var/runtime/aws-lambda-rie", "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
            "--runtime-api-address", f"127.0.0.1:{free_port()}",
            self.executable, "-S", "-m", "awslambdaric", handler,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"

        def invoke(event: Any) -> Any:
            deadline = time.monotonic() + 20
            while True:
                try:
                    with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=120) as answer:
                        return json.load(answer)
                except urllib.error.URLError:
                    if time.monotonic() > deadline or process.poll() is not None:
                        raise
                    time.sleep(0.05)

        log = self.root.with_suffix(".log")
        with memory_group() as join, log.open("wb") as output:
            process = subprocess.Popen(
                command, preexec_fn=join, start_new_session=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            try:
                yield invoke
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                print(log.read_text())  # shown when a test fails


@contextmanager
def memory_group() -> Iterator[Callable[[], None]]:
    """Make a control group with a function's memory; yield what puts the calling process into it."""
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    parent, limit = (v1, "memory.limit_in_bytes") if v1.is_dir() else (v2, "memory.max")
    group = parent / f"function-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(MEMORY))

        def join() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        yield join
    finally:
        deadline = time.monotonic() + 10
        while True:
            try:
                group.rmdir()
                break
            except OSError:  # busy, until its last process is reaped
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@pytest.fixture(scope="session")
def sandboxed() -> None:
    """Skip where this machine can't keep a process to what Lambda gives."""
    try:
        if os.geteuid():
            raise PermissionError("not root")
        subprocess.run(["unshare", "--mount", "true"], check=True, capture_output=True)
        with memory_group() as join:
            subprocess.run(["true"], preexec_fn=join, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"running a package as Lambda does takes root, mount namespaces and memory control groups: {error}")


@pytest.fixture(scope="session")
def sandbox(
    sandboxed: None,
    package: Path,
    interpreter: Python,
    lambda_runtime: Path,
    cloud: Cloud,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sandbox:
    """The package, unpacked as Lambda unpacks it, with the local cloud for its table."""
    folder = tmp_path_factory.mktemp("lambda")
    with zipfile.ZipFile(package) as archive:
        for entry in archive.infolist():
            Path(archive.extract(entry, folder / "task")).chmod(entry.external_attr >> 16 & 0o777)
    (folder / "root").mkdir()
    (folder / "task").chmod(0o755)
    return Sandbox(folder / "task", lambda_runtime, folder / "root", interpreter, cloud.environment)
