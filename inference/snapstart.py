"""Lambda SnapStart: one real request before the snapshot is taken, fresh connections after it is restored."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

from inference.gateway import Handler

PATIENCE = 60.0  # seconds in which a permission to read, made just before the version, spreads; Lambda gives 130
RETRY_AFTER = 2.0  # seconds


def register(handler: Handler, reconnect: Callable[[], None], example: dict[str, Any]) -> None:
    """Have Lambda call the hooks around a snapshot, where its runtime knows them (Python 3.12 and newer).

    Connecting and serving the request `example` makes lazily loaded code and buffers part of the snapshot; a version
    that can't serve it is not published.
    """
    try:
        from snapshot_restore_py import register_after_restore, register_before_snapshot
    except ImportError:
        return

    def before_snapshot() -> None:
        reconnect()  # as the words of the example may all be hot
        deadline = time.monotonic() + PATIENCE
        while (answer := handler({"body": json.dumps(example)}, None))["statusCode"] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the request before the snapshot was answered {answer['statusCode']}: {answer['body']}"
                )
            time.sleep(RETRY_AFTER)

    def after_restore() -> None:
        reconnect()  # connections and credentials of the snapshot may be long dead
        random.seed()  # or all restored functions would back off in step

    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)
