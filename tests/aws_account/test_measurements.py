"""Lambda's REPORT lines are read in both forms, and a report says what was measured and what failed."""

import json
from pathlib import Path

from tests.aws_account.measurements import Report, of_package, reports, write

TEXT = (
    "REPORT RequestId: 8fc6f963-411b-58b5-8483-a32130c0f45d\tDuration: 201.67 ms\tBilled Duration: 682 ms\t"
    "Memory Size: 2048 MB\tMax Memory Used: 181 MB\tInit Duration: 480.25 ms\t"
)
JSON = (
    '{"time":"2026-11-24T12:00:00.000Z","type":"platform.report","record":{"requestId":"r","metrics":{"durationMs":12.5,'
    '"billedDurationMs":13,"memorySizeMB":1769,"maxMemoryUsedMB":190,"restoreDurationMs":310.5},"status":"success"}}'
)


def test_both_forms_of_a_report_are_read_and_other_lines_are_not() -> None:
    lines = ["START RequestId: r Version: 3", TEXT, '{"level":"INFO","message":"a platform.report"}', JSON]
    assert list(reports(lines)) == [Report(201.67, 181, 480.25, None), Report(12.5, 190, None, 310.5)]


def test_the_report_has_what_was_measured_and_what_failed(tmp_path: Path) -> None:
    measured = of_package([*reports([TEXT, JSON])], {"cached": [40.0, 60.0], "fresh": []}, {"cached": [], "fresh": []})
    assert measured["init_ms"] == {"n": 1, "p50": 480.25, "p95": 480.25, "max": 480.25}
    assert (measured["max_memory_mb"], measured["duration_ms"]) == (190, {})
    step = {
        "name": "first",
        "outcome": "failed",
        "seconds": 61.2,
        "failures": ["500 | no arn:aws:iam::123456789012:role/r"],
        "facts": [],
    }
    report = {
        "run": "si-test-0a1b2c3d", "started": "now", "rehearsal": False, "region": "eu-west-1", "commit": "abc",
        "measurements": {"onnx": measured}, "steps": [step],
    }  # fmt: skip
    write(report, tmp_path, "123456789012")
    text = (tmp_path / "test_aws.md").read_text()
    assert json.loads((tmp_path / "test_aws.json").read_text())["measurements"] == {"onnx": measured}
    assert "123456789012" not in text
    assert "| onnx | 2 | 190 | 480.2 / 480.2 | 310.5 / 310.5 |  |" in text
    assert "| first | failed | 61 | 500 \\| no arn:aws:iam::ACCOUNT:role/r |" in text
