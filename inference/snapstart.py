"""Lambda SnapStart: one real request before the snapshot is taken, fresh connections after it is restored."""

import json
import random
from collections.abc import Callable
from typing import Any

from inference.gateway import Handler


def register(handler: Handler, reconnect: Callable[[], None], example: dict[str, Any]) -> None:
    """Have Lambda call the hooks around a snapshot, where its runtime knows them (Python 3.12 and newer).

    Serving the request `example` makes lazily loaded code and buffers part of the snapshot; a version that can't
    serve it is not published.
    """
    try:
        from snapshot_restore_py import register_after_restore, register_before_snapshot
    except ImportError:
        return

    def before_snapshot() -> None:
        answer = handler({"body": json.dumps(example)}, None)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"the request before the snapshot was answered {answer['statusCode']}: {answer['body']}")

    def after_restore() -> None:
        reconnect()  # connections and credentials of the snapshot may be long dead
        random.seed()  # or all restored functions would back off in step

    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)
