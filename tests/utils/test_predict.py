"""Rows of a file get their answers: by a URL that throttles, or a model file; interrupted, the same command goes on."""

import ast
import csv
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from inference.settings import Settings
from tests.conftest import ROOT
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, answering, service
from toolkit.cli import CommandError
from utils.predict import main

VECTORS = str(ROOT / "data/glove.6B.50d.sample.txt.gz")
KIM_HERE = ["--model", str(ROOT / "kim_cnn.model"), "--vectors", VECTORS, "--quiet"]
SM_HERE = ["--model", str(ROOT / "sm_cnn.model"), "--vectors", VECTORS, "--quiet"]


class Api:
    """A model behind HTTP; `refuse` are the statuses that its next requests get instead of an answer."""

    def __init__(self, predict: Any) -> None:
        served = service(predict, FakeDynamoDB(), settings=Settings(log_level="CRITICAL"))
        self.handler = answering(served, about=served.about())
        self.refuse: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def answer(self, method: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        if method == "POST" and self.refuse:
            return self.refuse.pop(0), "{}"
        if method == "POST":
            self.bodies.append(json.loads(body))
        self.headers.append(headers)
        answer = self.handler({"requestContext": {"http": {"method": method}}, "body": body}, None)
        return answer["statusCode"], answer["body"]

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it; yield its URL."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                status, answer = api.answer(self.command, dict(self.headers), body)
                self.send_response(status)
                if status in (429, 503):
                    self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/model"
            server.shutdown()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_rows_come_back_in_their_order_with_label_and_probabilities(tmp_path: Path) -> None:
    given, output = tmp_path / "given.tsv", tmp_path / "answered.csv"
    given.write_text("id\ttext\tlabel\n7\ta very good movie\tx\n3\twhat a waste of time\ty\n")
    assert main([str(given), str(output), *KIM_HERE]) == 0
    good, bad = rows_of(output)
    assert [list(row.values())[:3] for row in (good, bad)] == [
        ["7", "a very good movie", "x"],
        ["3", "what a waste of time", "y"],
    ]
    shares = {name: float(value) for name, value in good.items() if name.startswith("probability of ")}
    assert max(shares, key=lambda name: shares[name]) == f"probability of {good['predicted']}"
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert {*tmp_path.iterdir()} == {given, output}


def test_a_file_of_lines_gets_an_answer_a_line_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lines.txt").write_text("good\n\nbad\n")
    main([str(tmp_path / "lines.txt"), "-", *KIM_HERE])
    answered = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in answered] == ["good", "bad"]
    assert set(answered[0]) == {"text", "predicted", "probabilities"}


def test_pairs_are_ranked_among_the_rows_of_their_question(tmp_path: Path) -> None:
    pairs = [("how are caves formed", "in 1945"), ("who", "a man"), ("how are caves formed", "caves are formed by ice")]
    given, output = tmp_path / "given.jsonl", tmp_path / "ranked.jsonl"
    lines = [json.dumps({"question": question, "answer": answer, "n": [1]}) for question, answer in pairs]
    given.write_text("\n".join(lines))
    main([str(given), str(output), *SM_HERE])
    answered = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["question"], row["answer"]) for row in answered] == pairs
    assert [row["rank"] for row in answered] == [2, 1, 1]
    assert answered[2]["probability"] > answered[0]["probability"]
    assert answered[0]["n"] == [1]


def test_a_question_of_several_requests_is_ranked_as_one(tmp_path: Path) -> None:
    given, output = tmp_path / "given.csv", tmp_path / "ranked.csv"
    answers = [f"caves {'of ice ' * (number % 9)}in {number}" for number in range(2 * Settings().max_sentences + 1)]
    given.write_text("question,answer\n" + "".join(f"how are caves formed,{answer}\n" for answer in answers))
    main([str(given), str(output), *SM_HERE])
    ranked = sorted(rows_of(output), key=lambda row: int(row["rank"]))
    assert [int(row["rank"]) for row in ranked] == list(range(1, len(answers) + 1))
    shares = [float(row["probability"]) for row in ranked]
    assert shares == sorted(shares, reverse=True)


def test_what_is_throttled_or_fails_for_now_is_sent_again_with_its_headers(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text("text\n" + "".join(f"text {number}\n" for number in range(300)))
    api = Api(KIM)
    api.refuse = [429, 503, 503]
    with api.served() as url:
        options = ["--url", url, "--header", "Authorization: Bearer t", "--quiet"]
        main([str(tmp_path / "given.csv"), str(tmp_path / "answered.csv"), *options])
    assert [row["text"] for row in rows_of(tmp_path / "answered.csv")] == [f"text {number}" for number in range(300)]
    assert len(api.bodies) == 3  # of 128 texts at most
    assert {headers["Authorization"] for headers in api.headers} == {"Bearer t"}


def test_an_interrupted_run_continues_and_writes_nothing_by_halves(tmp_path: Path) -> None:
    given, output = tmp_path / "given.csv", tmp_path / "answered.csv"
    given.write_text("question,answer\n" + "".join(f"question {number},a\n" for number in range(30)))
    command = [str(given), str(output)]
    api = Api(SM)
    with api.served() as url:
        answer, asked = api.answer, []

        def failing(method: str, headers: dict[str, str], body: str) -> tuple[int, str]:
            asked.append(body)
            return (400, '{"error": "no more"}') if "question 20" in body else answer(method, headers, body)

        api.answer = failing  # type: ignore[method-assign]
        with pytest.raises(CommandError, match=r"given.csv, line 22, .*status 400: .*no more"):
            main([*command, "--url", url, "--quiet"])
        assert not output.exists()
        part = tmp_path / "answered.csv.part"
        part.write_bytes(part.read_bytes() + b'[{"probab')  # as a run that was killed leaves it
        api.answer = answer  # type: ignore[method-assign]
        api.bodies.clear()
        main([*command, "--url", url, "--quiet"])
        assert len(api.bodies) == 10
        assert [row["question"] for row in rows_of(output)] == [f"question {number}" for number in range(30)]
        assert not part.exists()
        with pytest.raises(CommandError, match="is there already"):
            main([*command, "--url", url])
        output.unlink()
        part.write_text('"other"\n')
        with pytest.raises(CommandError, match="of another run"):
            main([*command, "--url", url])
        assert part.read_text() == '"other"\n'


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("text\na\n \n", "line 3: no text"),
        ("body\na\n", "line 1: no column 'text'"),
        ("text,predicted\na,b\n", "line 2: has a column 'predicted' already"),
        ("text\n", "no rows in it"),
    ],
)
def test_a_row_that_can_not_be_answered_is_named_before_any_is_sent(
    tmp_path: Path, content: str, complaint: str
) -> None:
    (tmp_path / "given.csv").write_text(content)
    with pytest.raises(CommandError, match=f"given.csv.*{complaint}"):
        main([str(tmp_path / "given.csv"), str(tmp_path / "answered.csv"), *KIM_HERE])
    assert [path.name for path in tmp_path.iterdir()] == ["given.csv"]


@pytest.mark.parametrize(
    "arguments", [["a.csv", "b.xml", *KIM_HERE], ["a.csv", "-"], ["a.csv", "-", "--url", "u", "--header", "x"]]
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_the_python_client_of_the_docs_gets_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    (client,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.DOTALL)
    with Api(KIM).served() as url:
        exec(client, {"url": url})
    assert len(ast.literal_eval(capsys.readouterr().out)) == 2
