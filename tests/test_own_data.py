"""From a CSV to an answer over HTTP on the local cloud: the commands that docs/own-data.md prints first."""

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

from tests.conftest import ROOT, free_port, make_serve

WALK = (ROOT / "docs/own-data.md").read_text().split("\n## ")[1]
TICKETS = {
    "billing": ["my invoice is wrong", "you charged me twice", "the payment failed", "what does it cost"],
    "login": ["I can't log in", "the password is wrong", "my account is locked", "I forgot my password"],
    "shipping": ["my box is late", "the box was damaged", "where is my order", "it went to the wrong address"],
}
QUESTIONS = {"where is my order": "the order is on its way", "what does it cost": "the cost is ten dollars"}
ENDINGS = ["Thanks", "It is urgent", "See https://example.org/x", "Order 123456"]


def command(beginning: str) -> list[str]:
    """Return the words of the command of the walk that begins so."""
    (line,) = (line.strip() for line in WALK.splitlines() if line.startswith(f"    {beginning}"))
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

    with (tmp_path / "qa.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("question", "answer", "label")]
            + [(asked, QUESTIONS[other], int(asked == other)) for asked in QUESTIONS for other in QUESTIONS]
        )
    train = ["-m", "sm_cnn.train", "--data", "qa.csv", "--vectors", "tickets.vectors.txt", "--output", "qa.model"]
    subprocess.run([sys.executable, *train], cwd=tmp_path, env=environment, check=True, capture_output=True)

    _, _, *variables = command("make serve")  # make only sets them, and runs this
    variables.append("SM_CNN=qa.model")  # to which the vectors are as good as any
    own = {name: str(tmp_path / file) for name, file in (variable.split("=") for variable in variables)}
    with make_serve(free_port(), tmp_path / "log", signal.SIGTERM, **own) as page:
        url = page.partition("?api=")[2] + "/kim_cnn"
        with urllib.request.urlopen(url) as got:
            about = json.load(got)
        fields = json.dumps({"input": ["You charged me twice!", "my password is wrong"]})
        with urllib.request.urlopen(url, fields.encode()) as got:
            answer = json.load(got)
        fields = json.dumps({"sent1": "where is my order", "sent2": [*QUESTIONS.values()]})
        with urllib.request.urlopen(url.replace("/kim_cnn", "/sm_cnn"), fields.encode()) as got:
            ranked = json.load(got)
    assert time.monotonic() - started < 300
    assert about["labels"] == list(answer["probabilities"][0]) == [*TICKETS]
    assert about["title"] == "tickets"
    assert about["samples"]
    assert answer["label"] == ["billing", "login"]
    assert sorted(ranked["ranking"]) == [0, 1]
