"""A DynamoDB client in the process: BatchGetItem answered from a function, every call kept."""

import threading
from collections.abc import Callable
from typing import Any

Attribute = dict[str, Any]
Keys = list[dict[str, Any]]


class FakeClient:
    """Answers as DynamoDB does; `attribute_of` gives a word's vector, None when the table has no such word.

    `fault`, given the call's number from 1 and its keys, may raise, or answer in place of the table.
    """

    def __init__(
        self, attribute_of: Callable[[str], Attribute | None], fault: Callable[[int, Keys], Any] | None = None
    ):
        self.attribute_of, self.fault = attribute_of, fault
        self.calls: list[list[str]] = []  # the words of each
        self.closed = 0
        self._lock = threading.Lock()

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        ((table, wanted),) = RequestItems.items()
        words = [key["word"]["S"] for key in wanted["Keys"]]
        # What DynamoDB refuses the whole batch for.
        assert 0 < len(set(words)) == len(words) <= 100
        assert all(0 < len(word.encode()) <= 2048 for word in words)
        with self._lock:
            self.calls.append(words)
            number = len(self.calls)
        answer = self.fault(number, wanted["Keys"]) if self.fault else None
        if answer is not None:
            return answer
        found = [(word, self.attribute_of(word)) for word in words]
        items = [{"word": {"S": word}, "vector": vector} for word, vector in found if vector is not None]
        return {"Responses": {table: items}, "UnprocessedKeys": {}}

    def close(self) -> None:
        self.closed += 1
