"""Answer the rows of a file with a model: one that is deployed at a URL, or a model file on this machine.

    python utils/predict.py tickets.csv answered.csv --url https://….amazonaws.com/kim_cnn
    python utils/predict.py qa.jsonl ranked.jsonl --model sm_cnn.model --vectors glove.6B.50d.txt.gz
    python utils/predict.py lines.txt answered.csv --url "$URL" --header "Authorization: Bearer $TOKEN"

INPUT is CSV, TSV or JSON lines, compressed or not, with the column `text`, for SM-CNN `question` and `answer`. A file
of another name is plain text, one text a line. OUTPUT is named .csv or .jsonl, compressed or not, or `-` for JSON lines
on stdout. It has the rows of INPUT in their order, each with the answer:

  Kim CNN  `predicted`, a label, and `probabilities`, of every label; in CSV a column `probability of LABEL` each
  SM-CNN   `probability`, that the answer is relevant, and `rank` among the rows of its question, from 1

A URL gets eight requests at a time, of many rows each. What is throttled (429) or fails for now (502, 503, 504) is sent
again, after the seconds that Retry-After asks for. Answers are kept in OUTPUT.part, and the same command continues an
interrupted run. OUTPUT is written when all answers are there.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
import contextlib
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tqdm import tqdm

from architectures import PREDICT
from inference.model_file import Model, OtherArchitectureError
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from toolkit import cli
from toolkit.answered import PAIR, Row, answered, check_columns, flattened, kind
from toolkit.cli import CommandError, log, open_output, read_lines, run
from toolkit.columns import plain, read_whole_rows
from toolkit.texts import DEFAULT_COLUMN, is_table
from toolkit.training.remote import about, post_each, split
from toolkit.vectors.file import load_vectors


class Request(NamedTuple):
    """The fields of a request, and the rows that it answers."""

    fields: dict[str, Any]
    rows: list[int]


def read(name: str, architecture: str, text_columns: Sequence[str]) -> tuple[list[Row], list[str], list[list[str]]]:
    """Return the rows of a file, their places in it, and the texts of each that go to the model.

    Raises CommandError, which names file and line, for what can't be answered.
    """
    columns = list(text_columns) if architecture == "kim_cnn" else PAIR
    if is_table(name) or name == "-" or architecture == "sm_cnn":
        found = list(read_whole_rows(name, columns))
    else:
        lines = enumerate(read_lines(name), 1)
        found = [(f"{name}, line {number}", {columns[0]: line}) for number, line in lines if line.strip()]
    if not found:
        raise CommandError(f"{name}: no rows in it")
    texts = []
    for place, row in found:
        check_columns(place, row, architecture)
        values = [plain(row[column], f"{place}, {column!r}") for column in columns]
        texts.append([" ".join(filter(None, values))] if architecture == "kim_cnn" else values)
        if not all(texts[-1]):
            raise CommandError(f"{place}: no {'text' if architecture == 'kim_cnn' else columns[values.index('')]}")
    return [row for _, row in found], [place for place, _ in found], texts


def requests(texts: Sequence[Sequence[str]], settings: Settings) -> list[Request]:
    """Return the requests for the texts of each row, as few as the bounds allow: of a question with its answers."""
    if len(texts[0]) == 1:
        groups = {"": list(range(len(texts)))}
    else:
        groups = {}
        for number, (question, _) in enumerate(texts):
            groups.setdefault(question, []).append(number)
    found = []
    for question, rows in groups.items():
        name, others = ("sent2", {"sent1": question}) if question else ("input", {})
        left = iter(rows)
        for group in split((texts[row][-1] for row in rows), {**others, name: []}, settings):
            found.append(Request({**others, name: group}, [next(left) for _ in group]))
    return found


def load(path: Path) -> tuple[str, Model]:
    """Read a model file; return its architecture and the model."""
    for architecture, predict in PREDICT.items():
        with contextlib.suppress(OtherArchitectureError):
            return architecture, predict.load(path)
    raise CommandError(f"{path}: is no model of {' or '.join(PREDICT)}")


def computed(
    model: Model, predict: ModuleType, vectors_path: Path, sent: Sequence[Request], settings: Settings
) -> Iterator[dict[str, Any]]:
    """Yield the answers of a model on this machine, as its function would give them."""
    tokenizer = Tokenizer.from_config(model.config, settings.max_words)
    asked = [predict.read(request.fields, tokenizer, settings) for request in sent]
    words = {word for request in asked for sentence in request.sentences for word in sentence}
    vectors = load_vectors(vectors_path, words, model.vector_length)
    for request in asked:
        logits = model.logits(predict.batches(model, request.sentences, vectors))
        yield predict.answer(model, request, logits)


def of_rows(sent: Sequence[Request], answers: Sequence[Row], predict: ModuleType) -> dict[int, Row]:
    """Return what the answers to the requests say of each row; the rows of a question are ranked together."""
    questions: dict[str, list[int]] = {}
    for number, request in enumerate(sent):
        questions.setdefault(request.fields.get("sent1", ""), []).append(number)
    found: dict[int, Row] = {}
    for numbers in questions.values():
        rows = [row for number in numbers for row in sent[number].rows]
        found.update(zip(rows, predict.of_rows([answers[number] for number in numbers]), strict=True))
    return found


class Part:
    """The answers so far, in a file beside the output: a line that names what is asked, then a line an answer."""

    def __init__(self, path: Path, asked: str):
        """Continue the file at `path`, or begin it; raise CommandError if it is not of what is `asked`."""
        self.path = path
        self.answers: list[Row] = []
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]  # the last may be cut short
        first = json.dumps(asked).encode() + b"\n"
        if lines and lines[0] != first:
            raise CommandError(f"{path}: is of another run, with other rows or another model; remove it")
        self.answers = [json.loads(line) for line in whole[1:]]
        path.write_bytes(b"".join(whole) or first)

    def add(self, answer: Row) -> None:
        """Keep the answer to the next request."""
        self.answers.append(answer)
        with self.path.open("ab") as file:
            file.write(json.dumps(answer).encode() + b"\n")

    def remove(self) -> None:
        """Remove the file: what it had is in the output."""
        self.path.unlink()


def write(name: str, rows: Sequence[Row]) -> None:
    """Write rows as CSV or as JSON lines, as the name says."""
    with open_output(name) as output:
        if kind(name) != ".csv":
            output.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        flat = [flattened(row) for row in rows]
        writer = csv.DictWriter(output, list(dict.fromkeys(name for row in flat for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)


def header(text: str) -> tuple[str, str]:
    """Return name and value of a header, for argparse."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME: VALUE")
    return name.strip(), value.strip()


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("input", metavar="INPUT", help="the rows to answer; - for stdin, which is no plain text")
    parser.add_argument("output", metavar="OUTPUT", type=answered, help="where they go with their answers")
    parser.add_argument("--url", help="the model's URL, as deploy.py prints it")
    parser.add_argument("--header", type=header, action="append", default=[], metavar="NAME: VALUE", help="sent along")
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model file in place of a URL, with --vectors")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="the word vectors that it was trained with")
    parser.add_argument("--text-column", action="append", metavar="NAME", help="may be given again: the texts join")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    if bool(options.url) == bool(options.model) or bool(options.model) != bool(options.vectors):
        parser.error("give either --url, or --model and --vectors")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = arguments(argv)
    output, headers = options.output, dict(options.header)
    if output != "-" and Path(output).exists():
        raise CommandError(f"{output}: is there already; remove it, or name another file")
    if options.model:
        architecture, model = load(options.model)
    else:
        architecture, model = str(about(options.url, headers).get("model")), None
    if architecture not in PREDICT:
        raise CommandError(f"{options.url}: does not say which model it is; give the URL that deploy.py prints")
    rows, places, texts = read(options.input, architecture, options.text_column or [DEFAULT_COLUMN])
    settings = Settings.from_environment()
    sent = requests(texts, settings)
    files = [] if options.url else [options.model, options.vectors]
    source = [options.url, *([str(path.resolve()), path.stat().st_mtime_ns] for path in files)]
    asked = hashlib.sha256(json.dumps([source, texts]).encode()).hexdigest()
    part = None if output == "-" else Part(Path(f"{output}.part"), asked)
    answers = part.answers if part else []
    if done := sum(len(request.rows) for request in sent[: len(answers)]):
        log(f"{done} of {len(rows)} rows are answered already")
    left = sent[len(answers) :]
    coming = (
        computed(model, PREDICT[architecture], options.vectors, left, settings)
        if model
        else post_each(options.url, [request.fields for request in left], headers)
    )
    with tqdm(total=len(rows), initial=done, unit="row", disable=True if options.quiet else None) as progress:
        for request in left:
            try:
                answer = next(coming)
            except CommandError as error:
                raise CommandError(f"{places[request.rows[0]]}, or a row sent with it: {error}") from None
            if part:
                part.add(answer)
            else:
                answers.append(answer)
            progress.update(len(request.rows))
    found = of_rows(sent, answers, PREDICT[architecture])
    write(output, [{**row, **found[number]} for number, row in enumerate(rows)])
    if part:
        part.remove()
    return 0


if __name__ == "__main__":
    run(main)
