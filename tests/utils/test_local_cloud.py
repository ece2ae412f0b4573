"""The local cloud: what it tells its command, and how it fails."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port

SCRIPT = ROOT / "utils/local_cloud.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env={**os.environ, **environment},
        cwd="/",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_command_sees_the_local_cloud_and_nothing_of_a_real_account(tmp_path: Path) -> None:
    port = str(free_port())
    show = "import os; print(sorted(f'{k}={v}' for k, v in os.environ.items() if k.startswith('AWS')))"
    ran = run(
        "--port", port, "--log", str(tmp_path / "log"), "--", "python", "-c", show,
        AWS_PROFILE="production", AWS_SESSION_TOKEN="secret",
    )  # fmt: skip
    assert ran.returncode == 0
    assert f"AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in ran.stdout
    assert "production" not in ran.stdout
    assert "secret" not in ran.stdout


def test_the_commands_exit_code_is_passed_on_and_the_cloud_is_gone_after_it(tmp_path: Path) -> None:
    port, temporary = free_port(), tmp_path / "temporary"
    temporary.mkdir()
    command = ["sh", "-c", "ls $TMPDIR; exit 7"]
    ran = run("--port", str(port), "--log", str(tmp_path / "log"), "--", *command, TMPDIR=str(temporary))
    assert ran.returncode == 7
    assert ran.stdout.startswith("local-cloud-"), "where functions are unpacked"
    assert list(temporary.iterdir()) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("--port", str(port), "--", "true")
    assert ran.returncode == 1
    assert (
        ran.stderr
        == f"local_cloud.py: port {port} is in use; free it or choose another with --port, or with PORT=4567 for make\n"
    )


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_it_ends_all_that_the_command_has_started(tmp_path: Path, kind: signal.Signals) -> None:
    port = free_port()
    command = ["--port", str(port), "--log", str(tmp_path / "log"), "--", "sh", "-c", "(sleep 61; true) & echo; wait"]
    with subprocess.Popen(
        [sys.executable, SCRIPT, *command],
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(kind, signal.SIG_DFL),  # nohup ignores SIGHUP, for all it starts
    ) as process:
        assert process.stdout and process.stdout.readline() == b"\n"
        process.send_signal(kind)
        rest, _ = process.communicate(timeout=30)
    assert rest == b"", "until nothing is left that holds the pipe"
    assert process.returncode == 128 + kind
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_missing_command_is_one_clear_line(tmp_path: Path) -> None:
    ran = run("--port", str(free_port()), "--log", str(tmp_path / "log"), "--", "no-such-tool")
    assert ran.returncode == 1
    assert ran.stderr == "local_cloud.py: no-such-tool: no such command\n"


def test_no_command_is_bad_usage() -> None:
    assert run().returncode == 2


def test_an_interactive_shell_says_where_it_is_and_keeps_this_python_first(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("export PATH=/usr/bin:/bin SEEN=yes\n")
    command = [sys.executable, str(SCRIPT), "--port", str(free_port()), "--log", str(tmp_path / "log"), "--", "bash"]
    primary, secondary = pty.openpty()  # bash reads its rcfile when it is on a terminal
    process = subprocess.Popen(
        command, env={**os.environ, "HOME": str(tmp_path)}, stdin=secondary, stdout=secondary, stderr=secondary
    )
    os.close(secondary)
    os.write(primary, b"command -v python; echo SEEN=$SEEN; exit\n")
    shown = b""
    with contextlib.suppress(OSError):  # the end of the terminal
        while part := os.read(primary, 4096):
            shown += part
    assert process.wait(30) == 0
    assert b"This shell is in the local cloud, which forgets everything when the shell ends" in shown
    assert f"{Path(sys.executable).parent}/python\r\n".encode() in shown
    assert b"SEEN=yes" in shown
