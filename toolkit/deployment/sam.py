"""SAM CLI, which creates, updates and removes a stack."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.cli import CommandError
from toolkit.deployment.deployed import POLL_SECONDS


@dataclass(frozen=True)
class Sam:
    """SAM CLI for one stack; `bucket` holds its packages, None for the bucket that SAM CLI keeps."""

    stack: str
    bucket: str | None = None
    region: str | None = None
    profile: str | None = None

    def deploy(
        self, template: dict[str, Any], values: dict[str, str], tags: dict[str, str], watch: Callable[[], None]
    ) -> bool:
        """Create or update the stack with the values of all parameters; return whether that succeeded.

        `watch` is called now and then while it works, and at its end.
        """
        # In a bucket of the user's choice, others may have put something else under the name of a package.
        bucket = "--force-upload" if self.bucket else "--resolve-s3"
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(template, file)
            file.flush()
            return self._run(
                watch, "deploy", f"--template-file={file.name}", bucket,
                "--capabilities=CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset",
                "--parameter-overrides", *(f"{name}={json.dumps(value)}" for name, value in values.items()),
                *(["--tags", *(f"{name}={json.dumps(value)}" for name, value in tags.items())] if tags else []),
                *([] if sys.stderr.isatty() else ["--no-progressbar"]),
            )  # fmt: skip

    def delete(self, watch: Callable[[], None]) -> bool:
        """Remove the stack and its packages; return whether that succeeded. `watch` is as for `deploy`."""
        return self._run(watch, "delete", "--no-prompts")

    def _run(self, watch: Callable[[], None], command: str, *arguments: str) -> bool:
        """Run a command. Its errors and the progress of uploads are on stderr; its tables of events are not shown."""
        prefix = f"{self.stack}/packages"  # `sam delete` removes all below it
        line = ["sam", command, f"--stack-name={self.stack}", f"--s3-prefix={prefix}", *arguments]
        options = {"region": self.region, "profile": self.profile, "s3-bucket": self.bucket}
        line += [f"--{name}={value}" for name, value in options.items() if value]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # .venv may not be activated
        environment = {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}
        try:
            process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
        except FileNotFoundError:
            raise CommandError(
                "no sam on PATH; `make .venv/installed` installs it, so does pip install aws-sam-cli"
            ) from None
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                watch()
                if process.returncode is not None:
                    return process.returncode == 0
        finally:
            process.kill()
