"""The cost estimate: its arithmetic checked by hand, its table, and durations files that it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli import CommandError
from toolkit.prices import (
    DOLLARS_PER_GB_SECOND,
    DOLLARS_PER_LOG_GB,
    DOLLARS_PER_RESTORED_GB,
    DOLLARS_PER_SNAPSHOT_GB_SECOND,
)
from toolkit.request_cost import per_request
from toolkit.traffic import Reads
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT
from utils.estimate_cost import main, snapshot_month, watching

MEASURED = {
    "start_seconds": 1.0,
    "restore_seconds": 0.1,
    "cached_seconds": 0.001,
    "uncached_seconds": 0.002,
    "read_wait_seconds": 0.004,
}
LOGS = {"function_log_bytes": 400, "api_log_bytes": 600, "platform_log_bytes": 500}
DURATIONS: dict[str, Any] = {"memory_mb": 2048, "dim": 50, **LOGS, "packages": {"torch": MEASURED}}


@pytest.fixture
def durations(tmp_path: Path) -> Path:
    path = tmp_path / "durations.json"
    path.write_text(json.dumps(DURATIONS))
    return path


def test_the_parts_are_prices_times_what_was_measured() -> None:
    cost = per_request(DURATIONS, "torch", Reads(10, 0.75, 0.5), life=100, snapstart=False)
    assert cost["Lambda time, requests"] == pytest.approx(2 * DOLLARS_PER_GB_SECOND * (0.5 * 0.001 + 0.5 * 0.006))
    assert cost["Lambda time, starts"] == pytest.approx(2 * DOLLARS_PER_GB_SECOND * 1.0 / 100)
    assert cost["DynamoDB reads"] == pytest.approx(2.5 * 0.5 * DOLLARS_PER_READ_UNIT)  # half a unit a word
    logs = cost["logs of the function"] + cost["logs of the API"]
    assert logs == pytest.approx(1000 / 1e9 * DOLLARS_PER_LOG_GB)
    assert cost["SnapStart restores"] == 0


def test_without_cache_every_word_is_read_and_snapstart_pays_by_the_restore() -> None:
    cost = per_request(DURATIONS, "torch", Reads(10, 0, 1), life=100, snapstart=True)
    assert cost["DynamoDB reads"] == pytest.approx(10 * 0.5 * DOLLARS_PER_READ_UNIT)
    assert cost["Lambda time, requests"] == pytest.approx(2 * DOLLARS_PER_GB_SECOND * 0.006)
    assert cost["Lambda time, starts"] == pytest.approx(2 * DOLLARS_PER_GB_SECOND * 0.1 / 100)
    assert cost["SnapStart restores"] == pytest.approx(2 * DOLLARS_PER_RESTORED_GB / 100)
    assert snapshot_month(DURATIONS) == pytest.approx(2 * 730 * 3600 * DOLLARS_PER_SNAPSHOT_GB_SECOND)


def test_watching_costs_by_alarm_dashboard_and_metric() -> None:
    assert "1 model costs, a month: alarms $0.90 (with function URLs $0.90), a dashboard $3.00, metrics" in watching(1)
    assert "2 models cost" in watching(2).replace(
        "costs", "cost"
    ) and "alarms $1.50 (with function URLs $1.80)" in watching(2)


def test_time_is_billed_in_whole_milliseconds() -> None:
    measured = {**MEASURED, "cached_seconds": 0.0002}
    cost = per_request({**DURATIONS, "packages": {"torch": measured}}, "torch", Reads(10, 1, 0), 100, False)
    assert cost["Lambda time, requests"] == pytest.approx(2 * DOLLARS_PER_GB_SECOND * 0.001)


def test_prints_a_table_whose_sum_is_the_sum_and_draws(durations: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "text").write_text("a good movie\na bad movie\n")
    arguments = [str(durations), "--data", str(tmp_path / "text"), "--life", "10"]
    assert main([*arguments, "--plot", str(tmp_path / "plot.svg")]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line]
    cells = {row[0].strip("|* "): [cell.strip("|* ") for cell in row[1:]] for row in rows}
    names = list(cells)
    parts = names[names.index("dollars per million requests") + 2 : names.index("sum")]  # after a line of dashes
    assert sum(float(cells[part][0]) for part in parts) == pytest.approx(float(cells["sum"][0]), abs=0.05)
    of_api = float(cells["gateway"][0]) + float(cells["logs of the API"][0])
    assert float(cells["sum, function URLs"][0]) == pytest.approx(float(cells["sum"][0]) - of_api, abs=0.02)
    assert cells["10 (of which 2)"] == ["33.3%", "100.0%"]
    assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_hot_words_are_not_read(durations: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "text").write_text("a good movie\na bad movie\n")
    (tmp_path / "vectors").write_text("a 1 1\nmovie 2 2\ngood 3 3\n")
    arguments = [str(durations), "--data", str(tmp_path / "text"), "--vectors", str(tmp_path / "vectors")]
    reads = []
    for number in ("1", "2", "3"):
        assert main([*arguments, "--hot-words", number]) == 0
        rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if " | " in line]
        (row,) = (row for row in rows if row[0].strip("| ") == "DynamoDB reads")
        reads.append(float(row[2]))  # without cache: two, one and half a word a request, half a unit each
    assert reads == pytest.approx([1e6 * words * 0.5 * DOLLARS_PER_READ_UNIT for words in (2, 1, 0.5)], abs=0.0051)
    with pytest.raises(SystemExit):
        main([*arguments])
    assert "--hot-words and --vectors go together" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"memory_mb": "2 GB"}, "memory_mb is '2 GB'; give a number"),
        ({"packages": {}}, "no packages"),
        ({"packages": {"torch": {**MEASURED, "start_seconds": -1}}}, "packages.torch.start_seconds is -1"),
        ({"packages": {"torch": {"start_seconds": 1}}}, "it has no 'restore_seconds'"),
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
