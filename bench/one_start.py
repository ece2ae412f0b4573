"""One cold start for cold_start.py: import a handler in this process, answer one request, print seconds by part.

Run by an interpreter that finds the package and boto3 and nothing else: one_start.py HANDLER STARTED, the latter the
system's monotonic clock when the process was started.
"""

import sys
import time

started = float(sys.argv[2])

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from typing import Any  # noqa: E402

EVENTS: dict[str, dict[str, str]] = {
    "sm_handler": {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"},
    "kim_handler": {"input": "this is a very good movie"},
}


class Stopwatch:
    """Seconds spent in named parts; a part within another stops the outer one's clock."""

    def __init__(self) -> None:
        """Start with nothing running."""
        self.spent: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time until the block ends to `name`."""
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def wrap(self, owner: Any, function: str, name: str) -> None:
        """Count the calls of a function of `owner` to `name`."""
        original: Callable[..., Any] = getattr(owner, function)

        def timed(*arguments: Any) -> Any:
            with self.part(name):
                return original(*arguments)

        setattr(owner, function, timed)

    def _switch(self) -> None:
        now = time.monotonic()
        if self._running:
            self.spent[self._running[-1]] = self.spent.get(self._running[-1], 0.0) + now - self._since
        self._since = now


watch = Stopwatch()
with watch.part("import"):
    from inference import dynamodb, libtorch, model_file

    unpacked = 0
    if libtorch._unpacking is not None:
        wait = libtorch._unpacking.result

        def result() -> int:
            """Wait for the library, counting the wait and its bytes."""
            global unpacked
            with watch.part("unpack"):
                descriptor = wait()
            unpacked = os.fstat(descriptor).st_size
            return descriptor

        libtorch._unpacking.result = result  # type: ignore[method-assign,assignment]
    import_at_ease = model_file._import_at_ease  # around torch or onnxruntime

    @contextmanager
    def imports() -> Iterator[None]:
        """Count what `_import_at_ease` is around to the imports."""
        with watch.part("import"), import_at_ease():
            yield

    model_file._import_at_ease = imports
    watch.wrap(model_file, "load", "model")
    watch.wrap(dynamodb, "dynamodb_client", "client")
    module = __import__(sys.argv[1])
with watch.part("request"):
    answer = module.handler(EVENTS[sys.argv[1]], None)
total = time.monotonic() - started
if answer["statusCode"] != 200:
    sys.exit(answer["body"])
resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"total": total, **watch.spent, "resident": resident / 1e6, "unpacked": unpacked / 1e6}))
