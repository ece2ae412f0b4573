"""Requests are read from every form of data, and replayed through the functions' cache."""

from pathlib import Path

import pytest

from toolkit.cli import CommandError
from toolkit.traffic import read_requests, replay


def test_requests_are_read_from_every_form(tmp_path: Path) -> None:
    (tmp_path / "a.toks").write_text("who ?\nwhat ?\n")
    (tmp_path / "b.toks").write_text("me\nthat\n")
    pairs = [{"sent1": "who ?", "sent2": "me"}, {"sent1": "what ?", "sent2": "that"}]
    assert read_requests(tmp_path) == pairs
    file = tmp_path / "file"
    file.write_text("who ?\tme\nwhat ?\tthat\n")
    assert read_requests(file) == pairs
    file.write_text("3\tcaf\u00e9 \u00a0 noir\n0\tbad\n", encoding="utf-8")
    assert read_requests(file) == [{"input": "café \u00a0 noir"}, {"input": "bad"}]
    file.write_text("one\n\ntwo\n")
    assert read_requests(file) == [{"input": "one"}, {"input": "two"}]
    table = tmp_path / "file.csv"
    table.write_text('label,text\nspam,"one, two"\n')
    assert read_requests(table) == [{"input": "one, two"}]
    (tmp_path / "file.jsonl").write_text('{"question": "who ?", "answer": "me"}\n')
    assert read_requests(tmp_path / "file.jsonl") == pairs[:1]


def test_data_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.toks").write_text("who ?\n")
    (tmp_path / "b.toks").write_text("me\nthat\n")
    with pytest.raises(CommandError, match=r"1 lines in a\.toks but 2 in b\.toks"):
        read_requests(tmp_path)
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(CommandError, match="empty: no requests"):
        read_requests(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match=r"binary.*not UTF-8"):
        read_requests(tmp_path / "binary")


@pytest.mark.parametrize(
    ("life", "cache", "hits", "reading"),
    [
        (1, 100, 0, 4),  # nothing lives to be found again
        (2, 100, 2, 3),  # in the second request of the first container, a and b
        (4, 100, 4, 2),  # those, a of the third and b of the fourth
        (4, 2, 3, 3),  # c has driven out b
        (4, 0, 0, 4),
    ],
)
def test_the_hit_rate_is_that_of_containers_with_the_functions_cache(
    life: int, cache: int, hits: int, reading: int
) -> None:
    requests = [{"input": "a b"}, {"input": "B a a"}, {"input": "c a"}, {"input": "b"}]
    traffic = replay(requests, life, cache)
    assert traffic.words == 7 / 4  # distinct words of each request
    assert traffic.hit_rate == pytest.approx(hits / 7)
    assert traffic.reading == reading / 4
