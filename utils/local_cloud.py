"""Run a command against a cloud on this machine: DynamoDB, S3, IAM, CloudFormation, Lambda, API Gateway.

Starts the MiniStack emulator with IAM enforced, sets AWS_ENDPOINT_URL and throw-away credentials for the
command, and stops the emulator when the command ends. Nothing else knows that it is not AWS.

Example:
  python utils/local_cloud.py -- aws dynamodb list-tables
  python utils/local_cloud.py --port 4567 -- bash
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from toolkit import cli
from toolkit.cli import CommandError, log, run
from toolkit.deployment.local_cloud import ROOT, local_cloud

INTERACTIVE_BASH = ["bash"]
# Read by an interactive bash in the place of ~/.bashrc, which may put another Python first.
BASHRC = """[ -f ~/.bashrc ] && . ~/.bashrc
PATH="{bin}:$PATH"
PS1="(local cloud) $PS1"
"""


def run_command(command: list[str], environment: dict[str, str]) -> int:
    """Run `command`, a bare `bash` with .venv's programs first on its PATH; return its exit code."""
    if command != INTERACTIVE_BASH:
        return wait_for(command, environment)
    with tempfile.NamedTemporaryFile("w", suffix=".bashrc") as file:
        file.write(BASHRC.format(bin=Path(sys.executable).parent))
        file.flush()
        return wait_for(["bash", "--rcfile", file.name], environment)


def wait_for(command: list[str], environment: dict[str, str]) -> int:
    """Run a command; return its exit code. When this process is ended, so are the command and all that it started."""
    try:
        return subprocess.Popen(command, env=environment).wait()
    except SystemExit:  # perhaps before Popen has returned
        for child in started_by(os.getpid()):
            end(child)
        raise
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: no such command") from None
    except KeyboardInterrupt:  # how a command that stays up is ended
        return 130


def started_by(pid: int) -> list[int]:
    """Return the processes that a process started and that still run."""
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def end(pid: int) -> None:
    """Have a process end, and those that it started; it is stopped first, so that it starts no more."""
    with contextlib.suppress(OSError):  # it has ended by itself
        os.kill(pid, signal.SIGSTOP)
        for child in started_by(pid):
            end(child)
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)


def main() -> int:
    """Run the command line; return the command's exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("--port", type=int, default=4566, help="where the cloud listens (default: 4566)")
    parser.add_argument("--log", type=Path, default=ROOT / "build/local_cloud.log", help="the emulator's output")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    arguments = parser.parse_args()
    if not 0 < arguments.port < 65536:
        parser.error(f"--port {arguments.port} is not between 1 and 65535")
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(kind, lambda number, _: sys.exit(128 + number))  # so that the cloud is stopped then, too
    with local_cloud(arguments.port, arguments.log) as environment:
        if arguments.command == INTERACTIVE_BASH:
            log("This shell is in the local cloud, which forgets everything when the shell ends (exit).")
        return run_command(arguments.command, environment)


if __name__ == "__main__":
    run(main)
