"""How far an upload came, kept on this machine, so that the next run goes on from there.

One small file a table, in `$XDG_STATE_HOME/serverless-inference` (default `~/.local/state`). It holds a place
before which every item is known to be in the table, with all that the items depend on. A table made anew is
another table (DynamoDB gives it another id); another file, format or word list makes another upload, which
takes the place of the one before: then that one's items may have been overwritten, and it starts over.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.vectors.selection import Place


def folder() -> Path:
    """Return where progress is kept."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "serverless-inference"


class Progress:
    """The progress of one upload into one table."""

    def __init__(self, table_id: str, format: str, wanted: Iterable[str] | None, skip_bad_lines: bool):
        """Find the upload of these words in this `format` into the table of `table_id`."""
        self.path = folder() / f"{hashlib.sha256(table_id.encode()).hexdigest()[:32]}.json"
        words = None if wanted is None else hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()
        self._upload = {"format": format, "wordlist": words}
        self._skip_bad_lines = skip_bad_lines

    def load(self) -> Place | None:
        """Return the place up to which everything is written, None when this upload is not under way."""
        try:
            state: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            place = Place(int(state["offset"]), int(state["checksum"]))
            upload, skipped = state["upload"], state["skip_bad_lines"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if upload != self._upload or (skipped and not self._skip_bad_lines):  # then the bad lines are an error again
            return None
        return place

    def save(self, place: Place) -> None:
        """Keep `place`, whole or not at all; a failure is told, and costs only the progress."""
        state = {"upload": self._upload, "skip_bad_lines": self._skip_bad_lines, **place._asdict()}
        temporary = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(state), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            print(f"progress can't be kept: {error}", file=sys.stderr)

    def forget(self) -> None:
        """Drop what was kept, before another upload into the table begins."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()
