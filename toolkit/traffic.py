"""Requests from a data file, and how often a function that answers them has to read the table."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from inference.hot_words import HotWords
from inference.tokenizer import tokenize
from inference.word_vectors import WordVectors
from toolkit.cli import CommandError, read_lines
from toolkit.columns import read_columns, read_whole_rows
from toolkit.texts import is_table

Fields = dict[str, str]


def read_requests(path: Path) -> list[Fields]:
    """Return the requests that a folder or file holds, as the fields of their JSON.

    The folder has TrecQA's `a.toks` and `b.toks`. The file has lines of `label<TAB>sentence` (the label a number, as
    in SST), `question<TAB>answer` or one sentence; or it is CSV or JSON lines, by its name, with the column `text`, or
    `question` and `answer`. Raises CommandError when there are none, or for text that is not UTF-8.
    """
    if path.is_dir():
        questions, answers = (_lines(path / name) for name in ("a.toks", "b.toks"))
        if len(questions) != len(answers):
            raise CommandError(f"{path}: {len(questions)} lines in a.toks but {len(answers)} in b.toks")
        requests = [{"sent1": question, "sent2": answer} for question, answer in zip(questions, answers, strict=True)]
    elif is_table(str(path)) and ".tsv" not in path.suffixes:  # SST's and TrecQA's names no columns
        _, first = next(read_whole_rows(path, []), ("", {}))
        pairs = {"question", "answer"} <= first.keys()
        columns = {"sent1": "question", "sent2": "answer"} if pairs else {"input": "text"}
        records = read_columns(path, list(columns.values()))
        requests = [dict(zip(columns, record.values, strict=True)) for record in records]
    else:
        requests = [_request(line) for line in _lines(path)]
    if not requests:
        raise CommandError(f"{path}: no requests in it")
    return requests


def _lines(path: Path) -> list[str]:
    return [line for line in read_lines(path) if line.strip()]


def _request(line: str) -> Fields:
    before, tab, after = line.partition("\t")
    if not tab:
        return {"input": line}
    return {"input": after} if before.isdecimal() else {"sent1": before, "sent2": after}


class Reads(NamedTuple):
    """What requests read: distinct words per request, the share of these that package or cache held, and the share of
    requests that read the table, for one word or more.
    """

    words: float
    hit_rate: float
    reading: float


class CountingTable:
    """A table without words that counts the keys it is asked for, in place of a DynamoDB client."""

    def __init__(self) -> None:
        """Start at zero."""
        self.calls = self.keys = 0

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Answer that no word is known, which the cache remembers like a vector."""
        ((table, asked),) = RequestItems.items()
        self.calls += 1
        self.keys += len(asked["Keys"])
        return {"Responses": {table: []}}


def replay(requests: Iterable[Fields], life: int, cache_size: int, hot: HotWords | None = None) -> Reads:
    """Return what `requests` read when one container after another answers `life` of them, with a cache of its own.

    Words in `hot` travel in its package. There must be a request at least.
    """
    table = CountingTable()
    count = words = reading = 0
    for fields in requests:
        if count % life == 0:
            vectors = WordVectors(
                lambda: table, "words", hot.length if hot else 1, cache_size, unknown_seconds=math.inf, hot=hot
            )
        count += 1
        calls = table.calls
        words += len(vectors.lookup(word for text in fields.values() for word in tokenize(text)))
        reading += table.calls > calls
    return Reads(words / count, 1 - table.keys / words, reading / count)
