"""The cost estimate: arithmetic checked by hand, a hit rate that is the cache's, input that is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit import prices as costs
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT, read_units
from utils.estimate_cost import PARTS, Traffic, main, per_request, replay, snapshot_month
from toolkit.cli import CommandError

MEASURED = {
    "start_seconds": 1.0,
    "restore_seconds": 0.1,
    "cached_seconds": 0.001,
    "uncached_seconds": 0.002,
    "read_wait_seconds": 0.004,
    "commands": ["python bench/durations.py"],
}
DURATIONS: dict[str, Any] = {"memory_mb": 2048, "dim": 50, "log_bytes": 1000, "packages": {"torch": MEASURED}}


@pytest.fixture
def durations(tmp_path: Path) -> Path:
    path = tmp_path / "durations.json"
    path.write_text(json.dumps(DURATIONS))
    return path


def test_the_parts_are_prices_times_what_was_measured() -> None:
    cost = per_request(DURATIONS, "torch", Traffic(10, 0.75, 0.5), life=100, snapstart=False, cache=True)
    assert tuple(cost) == PARTS
    assert cost["Lambda time, requests"] == pytest.approx(2 * costs.DOLLARS_PER_GB_SECOND * (0.5 * 0.001 + 0.5 * 0.006))
    assert cost["Lambda time, starts"] == pytest.approx(2 * costs.DOLLARS_PER_GB_SECOND * 1.0 / 100)
    assert cost["DynamoDB reads"] == pytest.approx(2.5 * 0.5 * DOLLARS_PER_READ_UNIT)  # half a unit a word
    assert cost["logs"] == pytest.approx(1000 / 1e9 * costs.DOLLARS_PER_LOG_GB)
    assert cost["SnapStart restores"] == 0


def test_without_cache_every_word_is_read_and_snapstart_pays_by_the_restore() -> None:
    cost = per_request(DURATIONS, "torch", Traffic(10, 0.75, 0.5), life=100, snapstart=True, cache=False)
    assert cost["DynamoDB reads"] == pytest.approx(10 * 0.5 * DOLLARS_PER_READ_UNIT)
    assert cost["Lambda time, requests"] == pytest.approx(2 * costs.DOLLARS_PER_GB_SECOND * 0.006)
    assert cost["Lambda time, starts"] == pytest.approx(2 * costs.DOLLARS_PER_GB_SECOND * 0.1 / 100)
    assert cost["SnapStart restores"] == pytest.approx(2 * costs.DOLLARS_PER_RESTORED_GB / 100)
    assert snapshot_month(DURATIONS) == pytest.approx(2 * 730 * 3600 * costs.DOLLARS_PER_SNAPSHOT_GB_SECOND)


@pytest.mark.parametrize(("size", "units"), [(1, 0.5), (4096, 0.5), (4097, 1.0), (8193, 1.5)])
def test_a_read_counts_in_steps_of_4_kb_and_half_a_unit_each(size: int, units: float) -> None:
    assert read_units(size) == units


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


def test_time_is_billed_in_whole_milliseconds() -> None:
    measured = {**MEASURED, "cached_seconds": 0.0002}
    cost = per_request({**DURATIONS, "packages": {"torch": measured}}, "torch", Traffic(10, 1, 0), 100, False, True)
    assert cost["Lambda time, requests"] == pytest.approx(2 * costs.DOLLARS_PER_GB_SECOND * 0.001)


def test_prints_a_table_whose_sum_is_the_sum_and_draws(durations: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "text").write_text("a good movie\na bad movie\n")
    arguments = [str(durations), "--data", str(tmp_path / "text"), "--life", "10"]
    assert main([*arguments, "--plot", str(tmp_path / "plot.svg")]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line]
    parts = {row[0].strip("|* "): [cell.strip("|* ") for cell in row[1:]] for row in rows}
    assert sum(float(parts[part][0]) for part in PARTS) == pytest.approx(float(parts["sum"][0]), abs=0.05)
    assert parts["10 (of which 2)"] == ["33.3%", "100.0%"]
    assert (tmp_path / "plot.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"memory_mb": "2 GB"}, "memory_mb is '2 GB'; give a number"),
        ({"packages": {}}, "no packages"),
        ({"packages": {"torch": {**MEASURED, "start_seconds": -1}}}, "packages.torch.start_seconds is -1"),
        ({"packages": {"torch": {**MEASURED, "commands": []}}}, "say how its durations were measured"),
        ({"packages": [1]}, "not a durations file"),
    ],
)
def test_durations_that_cannot_be_used_are_refused_by_field(
    change: dict[str, Any], complaint: str, durations: Path, tmp_path: Path
) -> None:
    durations.write_text(json.dumps({**DURATIONS, **change}))
    (tmp_path / "text").write_text("a good movie\n")
    with pytest.raises(CommandError, match=complaint):
        main([str(durations), "--data", str(tmp_path / "text")])


def test_bad_usage_exits_with_2(durations: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(durations), "--data", "text", "--life", "0"])
    assert caught.value.code == 2
    assert "--life must be at least 1" in capsys.readouterr().err
