"""From a CSV to an answer over HTTP on the local cloud: the commands that docs/own-data-served.md prints."""

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.conftest import ROOT, free_port

DOCS = (ROOT / "docs/own-data-served.md").read_text()
TICKETS = {
    "billing": ["my invoice is wrong", "you charged me twice", "the payment failed", "what does it cost"],
    "login": ["I can't log in", "the password is wrong", "my account is locked", "I forgot my password"],
    "shipping": ["my box is late", "the box was damaged", "where is my order", "it went to the wrong address"],
}
ENDINGS = ["Thanks", "It is urgent", "See https://example.org/x", "Order 123456"]


def command(beginning: str) -> list[str]:
    """Return the words of the command in the docs that begins so."""
    (line,) = (line.strip() for line in DOCS.splitlines() if line.startswith(f"    {beginning}"))
    return shlex.split(line)


def test_from_a_csv_to_an_answer_in_minutes(tmp_path: Path) -> None:
    chosen = random.Random(0)
    with (tmp_path / "tickets.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for _ in range(240):
            label = chosen.choice([*TICKETS])
            rows.writerow([f"Hello,\n{chosen.choice(TICKETS[label])}. {chosen.choice(ENDINGS)}", label])
    (tmp_path / "data").symlink_to(ROOT / "data")
    started = time.monotonic()

    _, *train = command("python -m kim_cnn.train")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    subprocess.run([sys.executable, *train], cwd=tmp_path, env=environment, check=True, capture_output=True)

    _, _, *variables = command("make serve")  # make only sets them, and runs this
    own = {name: str(tmp_path / file) for name, file in (variable.split("=") for variable in variables)}
    serve = [sys.executable, "utils/local_cloud.py", "--port", str(free_port()), "--log", str(tmp_path / "log")]
    process = subprocess.Popen(
        [*serve, "--", "utils/demo.sh", "--stay"],
        cwd=ROOT,
        env={**environment, **own},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        url = next(line.split("?api=")[1].strip() for line in process.stdout if "?api=" in line) + "/kim_cnn"
        with urllib.request.urlopen(url) as got:
            about = json.load(got)
        fields = json.dumps({"input": ["You charged me twice!", "my password is wrong"]})
        with urllib.request.urlopen(url, fields.encode()) as got:
            answer = json.load(got)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)
    assert time.monotonic() - started < 300
    assert about["labels"] == list(answer["probabilities"][0]) == [*TICKETS]
    assert about["title"] == "tickets"
    assert about["samples"]
    assert answer["label"] == ["billing", "login"]
