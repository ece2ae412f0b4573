"""Keep how far an upload came on this machine, so that the next run resumes there.

One small file a table, in `$XDG_STATE_HOME/serverless-inference` (default `~/.local/state`). It holds an offset of
the file, before which every word is in the table, and what the items depend on. A table that was deleted and created
again is another table: DynamoDB gives it another id. Another file, format or word list is another upload, which
replaces the progress of the one before, since it may overwrite that one's items.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from toolkit.atomic_write import atomic_write
from toolkit.cli import log


class ResumePoint(NamedTuple):
    """A point between two words of a file, and a checksum that shows whether the file before it is the same."""

    offset: int  # bytes of the decompressed file
    checksum: int  # CRC-32 of the words before it


def resume_point(saved: ResumePoint | None, found: ResumePoint | None, end: int, verify: bool) -> ResumePoint | None:
    """Return the point where an upload goes on, None for the beginning of the file.

    `saved` is the point that the last run kept, `found` the one at the same offset of the file as it is now, `end` the
    file's end. A finished upload is written again when asked for again, but with `verify` it is only read back.
    """
    if saved is None or saved != found:
        return None
    if saved.offset == end and not verify:
        return None
    return saved


class Progress:
    """The progress of one upload into one table."""

    def __init__(self, table_id: str, format: str, wanted: Iterable[str] | None, skip_bad_lines: bool):
        """Find the upload of the `wanted` words (None: all) in this `format` into the table of `table_id`."""
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        self.path = state / "serverless-inference" / f"{hashlib.sha256(table_id.encode()).hexdigest()[:32]}.json"
        words = None if wanted is None else hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()
        self._upload = {"format": format, "wordlist": words}
        self._skip_bad_lines = skip_bad_lines

    def load(self) -> ResumePoint | None:
        """Return the point up to which everything is written, None when this upload has none."""
        try:
            state: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            point = ResumePoint(int(state["offset"]), int(state["checksum"]))
            upload, skipped = state["upload"], state["skip_bad_lines"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if upload != self._upload or (skipped and not self._skip_bad_lines):  # then the bad lines are an error again
            return None
        return point

    def save(self, point: ResumePoint) -> None:
        """Keep `point`, atomically; a failure is logged, and costs only the progress."""
        state = {"upload": self._upload, "skip_bad_lines": self._skip_bad_lines, **point._asdict()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as file:
                file.write(json.dumps(state).encode())
        except OSError as error:
            log(f"progress can't be kept: {error}")

    def forget(self) -> None:
        """Drop what was kept, before an upload begins anew."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()
