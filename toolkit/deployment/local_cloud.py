"""A cloud on this machine for commands, tests and benchmarks: MiniStack in a process of its own, with IAM enforced."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.cli import CommandError

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30  # the emulator takes 1 to 3


def cloud_environment(endpoint: str) -> dict[str, str]:
    """Return this process's environment, but with AWS meaning what is at the URL `endpoint` and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # nosec B105 # the emulator takes any
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_POLL_DELAY": "0.5",  # seconds between looks at a stack: 5 by default, so as not to be throttled by AWS
    }


@contextmanager
def local_cloud(port: int, log: Path, front: str | None = None) -> Iterator[dict[str, str]]:
    """Keep an emulator on `port` up, its output in `log`; yield the environment of its clients.

    `front` is the URL of a proxy before it, for clients and for the functions in it. Raises CommandError when the
    emulator does not start.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            another = "another with --port, or with PORT=4567 for make"
            raise CommandError(f"port {port} is in use; free it or choose {another}") from None
    environment = cloud_environment(front or f"http://127.0.0.1:{port}")
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "AUTH": "true", "LOG_LEVEL": "INFO",
                "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0"}  # fmt: skip
    log.parent.mkdir(parents=True, exist_ok=True)
    # MiniStack unpacks functions into temporary folders, and leaves them behind when it is stopped.
    with tempfile.TemporaryDirectory(prefix="local-cloud-", ignore_cleanup_errors=True) as folder:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "toolkit.deployment.ministack_fixes"],
                env={**environment, **settings, "PYTHONPATH": str(ROOT), "TMPDIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the command; the emulator and its functions end together
            )
        try:
            _wait_until_up(process, port, log)
            yield environment
        finally:
            _stop(process)


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CommandError(f"the local cloud did not start; {log} says why")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(timeout=5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
