"""What a run makes in the account, written down before it is made, so that what a killed run left can be found.

A journal is a file of JSON lines, `si-test-<8 hex>.journal`, in the folder where uploads keep their progress: a line
about the run, then one for each thing. It is locked while the run, or a command that the run started, is at work.
"""

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = "si-test-"
RUN_NAME = re.compile(rf"{PREFIX}[0-9a-f]{{8}}(?![0-9a-f])")  # in the name of everything that a run makes


def folder() -> Path:
    """Return the folder of journals, where uploads keep their progress, too."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "serverless-inference"


def new_run() -> str:
    """Return the name of a new run."""
    return f"{PREFIX}{secrets.token_hex(4)}"


def run_of(name: str) -> str | None:
    """Return the name of the run that made the thing called `name`, None when no run did."""
    found = RUN_NAME.search(name)
    return found[0] if found else None


class Made(NamedTuple):
    """A thing that a run was about to make: a stack, table or bucket."""

    kind: str
    name: str


class Journal:
    """The journal of one run in one region of an account."""

    def __init__(self, path: Path) -> None:
        """Read the journal at `path`; a last line that was not written whole counts for nothing."""
        self.path, self.run = path, path.stem
        lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.account, self.region = (entries[0][name] if entries else None for name in ("account", "region"))
        self.made = [Made(entry["kind"], entry["name"]) for entry in entries[1:]]
        self.file = path.open("a", encoding="utf-8")

    @classmethod
    def begin(cls, run: str, account: str, region: str) -> "Journal":
        """Return the journal of a new run, locked."""
        folder().mkdir(parents=True, exist_ok=True)
        path = folder() / f"{run}.journal"
        path.touch(exist_ok=False)
        journal = cls(path)
        journal.lock()
        journal.account, journal.region = account, region
        journal._write({"account": account, "region": region})
        return journal

    def note(self, kind: str, name: str) -> str:
        """Write down that a thing is about to be made, for good when this returns; return its name."""
        assert run_of(name) == self.run, name
        self.made.append(Made(kind, name))
        self._write({"kind": kind, "name": name})
        return name

    def lock(self, seconds: float = 0.0) -> bool:
        """Lock the journal, waiting `seconds` for others to let go; return whether that succeeded.

        Every process that was started with `self.file` open has to end before another can lock it.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.2)

    def remove(self) -> None:
        """Remove the journal, when nothing of its run is left."""
        self.path.unlink(missing_ok=True)
        self.file.close()

    def _write(self, entry: dict[str, Any]) -> None:
        self.file.write(json.dumps({**entry, "time": time.strftime("%FT%TZ", time.gmtime())}) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def journals(account: str, region: str) -> Iterator[Journal]:
    """Yield the journals that runs in a region of an account have left; one without a whole line belongs to any."""
    for path in sorted(folder().glob(f"{PREFIX}*.journal")):
        journal = Journal(path)
        if (journal.account or account, journal.region or region) == (account, region):
            yield journal
        else:
            journal.file.close()
