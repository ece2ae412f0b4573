"""What Lambda's REPORT lines and the client's clock say about a package, and the report of a run."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REPORT = re.compile(
    r"^REPORT RequestId: \S+\s+Duration: (?P<duration>[\d.]+) ms\s+Billed Duration: [\d.]+ ms\s+Memory Size: \d+ MB"
    r"\s+Max Memory Used: (?P<memory>\d+) MB(?:\s+Init Duration: (?P<init>[\d.]+) ms)?"
    r"(?:\s+Restore Duration: (?P<restore>[\d.]+) ms)?"
)


class Report(NamedTuple):
    """What Lambda reports about one request: milliseconds, and MB; `init` or `restore` where it was a cold start."""

    duration: float
    memory: int
    init: float | None
    restore: float | None


def reports(messages: Iterable[str]) -> Iterator[Report]:
    """Yield what the messages of a function's log report, in the text form or the JSON form of Lambda's system log."""
    for message in messages:
        if found := REPORT.match(message):
            init, restore = (float(found[name]) if found[name] else None for name in ("init", "restore"))
            yield Report(float(found["duration"]), int(found["memory"]), init, restore)
        elif message.startswith("{") and '"platform.report"' in message:
            metrics = json.loads(message)["record"]["metrics"]
            yield Report(
                metrics["durationMs"],
                metrics["maxMemoryUsedMB"],
                metrics.get("initDurationMs"),
                metrics.get("restoreDurationMs"),
            )


def spread(milliseconds: Iterable[float]) -> dict[str, float]:
    """Return how many values there are, their median, 95th percentile and largest; nothing of none."""
    values = np.array(list(milliseconds))
    if not len(values):
        return {}
    median, high, most = (round(float(value), 2) for value in np.percentile(values, (50, 95, 100)))
    return {"n": len(values), "p50": median, "p95": high, "max": most}


def of_package(found: list[Report], client: dict[str, list[float]], function: dict[str, list[float]]) -> dict[str, Any]:
    """Return the measurements of a package: milliseconds, MB.

    `client` and `function` hold what the client waited and what the function took, `cached` and `fresh` (with words
    that the function had to read).
    """
    return {
        "init_ms": spread(report.init for report in found if report.init is not None),
        "restore_ms": spread(report.restore for report in found if report.restore is not None),
        "max_memory_mb": max((report.memory for report in found), default=0),
        "duration_ms": spread(report.duration for report in found if report.init is None and report.restore is None),
        **{f"client_{kind}_ms": spread(values) for kind, values in client.items()},
        **{f"function_{kind}_ms": spread(values) for kind, values in function.items()},
    }


COLUMNS = {
    "Init Duration": "init_ms", "Restore Duration": "restore_ms", "Duration": "duration_ms",
    "in the function, cached": "function_cached_ms", "in the function, read": "function_fresh_ms",
    "client, cached": "client_cached_ms", "client, read": "client_fresh_ms",
}  # fmt: skip


def markdown(report: dict[str, Any]) -> str:
    """Return the report of a run as Markdown tables."""
    where = "a rehearsal on the local cloud" if report["rehearsal"] else f"AWS, {report['region']}"
    lines = [f"Run `{report['run']}` of {report['started']}, {where}, commit {report['commit']}.", ""]
    if report["measurements"]:
        lines += [
            "Milliseconds, median / 95th percentile; MB.",
            "",
            f"| package | requests | Max Memory Used | {' | '.join(COLUMNS)} |",
            f"| --- | ---: | ---: | {' | '.join(['---:'] * len(COLUMNS))} |",
        ]
        for name, measured in report["measurements"].items():
            cells = [measured[column] for column in COLUMNS.values()]
            spreads = [f"{cell['p50']:,.1f} / {cell['p95']:,.1f}" if cell else "" for cell in cells]
            requests = sum(measured[part].get("n", 0) for part in ("duration_ms", "init_ms", "restore_ms"))
            lines.append(f"| {name} | {requests} | {measured['max_memory_mb'] or ''} | {' | '.join(spreads)} |")
        lines.append("")
    lines += ["| step | outcome | seconds | |", "| --- | --- | ---: | --- |"]
    for step in report["steps"]:
        said = " ".join("; ".join([*step["failures"], *step["facts"]]).replace("|", "\\|").split())
        lines.append(f"| {step['name']} | {step['outcome']} | {step['seconds']:.0f} | {said} |")
    return "\n".join(lines) + "\n"


def write(report: dict[str, Any], folder: Path, account: str) -> None:
    """Write a report to `folder`, as JSON and as Markdown, without the number of the account."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"json": json.dumps(report, indent=2, ensure_ascii=False) + "\n", "md": markdown(report)}
    for kind, text in texts.items():
        (folder / f"test_aws.{kind}").write_text(text.replace(account, "ACCOUNT"), encoding="utf-8")
