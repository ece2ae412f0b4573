"""Answer millions of rows with a deployed model, in parallel and without its API: a batch of AWS Step Functions.

    python utils/deploy.py up --parameter Batch=on
    python utils/batch.py run reviews.csv.gz answered.csv.gz --model kim_cnn
    python utils/batch.py run s3://bucket/qa.jsonl ranked.jsonl --model sm_cnn --no-wait
    python utils/batch.py status sm_cnn-0123456789abcdef
    python utils/batch.py stop sm_cnn-0123456789abcdef
    python utils/batch.py collect sm_cnn-0123456789abcdef --keep

  run      sends the rows in parts, has them scored, and writes the answers; the same command continues it
  status   says how far a batch is
  stop     stops it; `run` continues it
  collect  writes the answers that are there, to the OUTPUT that `run` was given

INPUT is CSV, TSV or JSON lines, compressed or not, here or in S3, with the column `text`, for SM-CNN `question` and
`answer`; the rows of a question follow each other. OUTPUT is named .csv or .jsonl, compressed or not. It has the rows
of INPUT in their order, each with the answer, as utils/predict.py writes it:

  Kim CNN  `predicted`, a label, and `probabilities`, of every label; in CSV a column `probability of LABEL` each
  SM-CNN   `probability`, that the answer is relevant, and `rank` among the rows of its question, from 1

Rows that could not be scored have no answer, and OUTPUT.failed.jsonl names them with the reason; the exit code is 1
then. Only texts are sent, into a private bucket of the stack, and `collect` deletes them when all parts are done.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
import contextlib
import csv
import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from tqdm import tqdm

from toolkit import cli
from toolkit.answered import PAIR, Row, answered, check_columns, flattened, kind
from toolkit.batch import PART_ROWS, Batch, Done, Engine, dollars, engine
from toolkit.cli import CommandError, log, open_output, run
from toolkit.columns import plain, read_whole_rows
from toolkit.deployment.template import MODELS
from toolkit.texts import DEFAULT_COLUMN

POLL_SECONDS = 2.0
PART_CHARACTERS = 1 << 20  # of text; long texts make smaller parts, each done in a minute
# For the estimate alone: what one function of 1,769 MB does (bench/batch_rate.py), and the words that it reads.
CHARACTERS_PER_SECOND, DISTINCT_WORDS = {"kim_cnn": 400_000, "sm_cnn": 800_000}, 30_000

Options = argparse.Namespace
Texts = list[str | None]  # of a row, as they go to the function; None where there is no text


class Read(NamedTuple):
    """A row of the input."""

    place: str  # file and line
    row: Row
    texts: Texts


def read(name: str, shown: str, model: str, columns: Sequence[str]) -> Iterator[Read]:
    """Yield the rows of a file; `shown` is what the user calls it.

    Raises CommandError, which names file and line, for what is no row, and for a question whose rows do not follow
    each other: they could not be ranked.
    """
    ended: set[int] = set()  # hashes of questions
    before: str | None = None
    for place, row in renamed(read_whole_rows(name, columns), name, shown):
        check_columns(place, row, model)
        values = [_text(row[column], place) for column in columns]
        texts: Texts = (
            [*values] if model == "sm_cnn" else [None if set(values) == {None} else " ".join(filter(None, values))]
        )
        if model == "sm_cnn" and texts[0] != before:
            ended.add(hash(before))
            before = texts[0]
            if hash(before) in ended:
                raise CommandError(f"{place}: this question had rows before; sort the rows by question")
        yield Read(place, row, texts)


def renamed(rows: Iterator[tuple[str, Row]], name: str, shown: str) -> Iterator[tuple[str, Row]]:
    """Yield the places and rows of the file `name`, and raise its errors, as those of `shown`."""
    try:
        for place, row in rows:
            yield place.replace(name, shown, 1), row
    except CommandError as error:
        raise CommandError(str(error).replace(name, shown)) from None


def _text(value: Any, place: str) -> str | None:
    """Return a value as text; None for one that is none, which the function then refuses."""
    try:
        return plain(value, place)
    except CommandError:
        return None


def parts(rows: Iterator[Read], most: int) -> Iterator[list[Read]]:
    """Yield the rows in parts of `most` rows, or less with long texts; the rows of a question in one part."""
    part: list[Read] = []
    size = 0
    for each in rows:
        full = len(part) >= most or size >= PART_CHARACTERS
        if full and (len(each.texts) == 1 or part[-1].texts[0] != each.texts[0]):
            yield part
            part, size = [], 0
        part.append(each)
        size += sum(len(text) for text in each.texts if text)
    if part:
        yield part


class Survey(NamedTuple):
    """What a first pass over the input finds."""

    digest: str  # of the texts and their parts
    sizes: list[int]  # rows of each part
    characters: int
    columns: list[str]


def survey(rows: Iterator[Read], most: int) -> Survey:
    """Read all rows once."""
    digest = hashlib.sha256()
    sizes, characters, columns = [], 0, {}
    for part in parts(rows, most):
        sizes.append(len(part))
        digest.update(_digest(part))
        characters += sum(len(text) for each in part for text in each.texts if text)
        columns.update(dict.fromkeys(column for each in part for column in each.row))
    return Survey(digest.hexdigest(), sizes, characters, list(columns))


def _digest(part: Sequence[Read]) -> bytes:
    return hashlib.sha256(json.dumps([each.texts for each in part]).encode()).digest()


@contextlib.contextmanager
def local(session: boto3.Session, name: str) -> Iterator[str]:
    """Yield the name of a file on this machine that has what `name`, a file or an object in S3, has."""
    if not name.startswith("s3://"):
        yield name
        return
    bucket, _, key = name.removeprefix("s3://").partition("/")
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        path = Path(folder) / Path(key).name
        session.client("s3").download_file(bucket, key, str(path))
        yield str(path)


def estimate(model: str, characters: int, count: int, concurrency: int, memory: float) -> tuple[float, float]:
    """Return about how many seconds and dollars `count` parts with so many characters take."""
    seconds = characters / CHARACTERS_PER_SECOND[model]
    at_once = min(count, concurrency)
    words = min(characters // 6, DISTINCT_WORDS) * at_once  # each function has a cache of its own
    return seconds / at_once + POLL_SECONDS, dollars(Done(count, words=words, seconds=seconds), memory)


def wait(batch: Batch, sizes: Sequence[int], quiet: bool) -> None:
    """Show progress until the batch does not run any more; raise CommandError when it failed as a whole."""
    seen: set[int] = set()
    done = Done()
    with tqdm(total=sum(sizes), unit="row", smoothing=0.1, disable=True if quiet else None) as progress:
        while True:
            newest = batch.execution()
            for number in sorted(batch.results() - seen):
                seen.add(number)
                if not progress.disable:
                    done = done.plus(batch.facts(number))
                    progress.set_postfix_str(f"${dollars(done, batch.engine.memory_mb):.4f}", refresh=False)
                    progress.update(sizes[number])
            if newest.status != "RUNNING":
                break
            time.sleep(POLL_SECONDS)
    if newest.status == "ABORTED":
        raise CommandError(f"{batch.name} was stopped; the same command continues it")
    if newest.status != "SUCCEEDED":
        raise CommandError(f"{batch.name} is {newest.status}: {newest.reason}; the same command tries it again")


def send(batch: Batch, source: Iterator[list[Read]], quiet: bool) -> None:
    """Send the parts that are not there yet, and leave out of the next execution those that are done."""
    done, there = batch.results(), batch.parts()
    for number, part in enumerate(tqdm(source, "sending", unit="part", disable=True if quiet else None)):
        if number not in done and number not in there:
            batch.send(number, [each.texts for each in part])
    batch.forget_parts(done & there)


def run_batch(session: boto3.Session, options: Options) -> int:
    """Do the command `run`; return the exit code."""
    refuse_output(options.output)
    found = engine(session, options.stack)
    model, most = options.model, options.part_rows
    if model not in found.functions:
        raise CommandError(f"stack {options.stack} does not have {model}")
    columns = PAIR if model == "sm_cnn" else options.text_column or [DEFAULT_COLUMN]
    with local(session, options.input) as name:
        again = lambda: read(name, options.input, model, columns)  # noqa: E731
        about = survey(again(), most)
        if not about.sizes:
            raise CommandError(f"{options.input}: no rows in it")
        key = hashlib.sha256(json.dumps([found.codes[model], most, about.digest]).encode()).hexdigest()
        batch = Batch(found, f"{model}-{key[:16]}")
        running = batch.execution().status == "RUNNING"
        left = len(about.sizes) - len(batch.results())
        if left and not running and not options.yes and not cli.agreed(question(batch, about, left)):
            raise CommandError("nothing was sent")
        log(f"batch {batch.name}")
        batch.write_manifest(
            {
                "input": options.input if options.input.startswith("s3://") else str(Path(options.input).resolve()),
                "output": str(Path(options.output).resolve()),
                "text_columns": columns,
                "columns": about.columns,
                "part_rows": most,
                "sizes": about.sizes,
                "digest": about.digest,
            }
        )
        if left and not running:
            send(batch, parts(again(), most), options.quiet)
            batch.start()
        if options.no_wait:
            print(batch.name)
            return 0
        try:
            wait(batch, about.sizes, options.quiet)
        except KeyboardInterrupt:
            log(f"{batch.name} goes on; the same command waits for it, and `stop {batch.name}` ends it")
            raise
        return collect(batch, again, options, partly=False)


def question(batch: Batch, about: Survey, left: int) -> str:
    """Return what is to be done, and what it takes."""
    share = left / len(about.sizes)
    seconds, cost = estimate(
        batch.model, int(share * about.characters), left, batch.engine.concurrency, batch.engine.memory_mb
    )
    rest = "" if share == 1 else f"{left} of {len(about.sizes)} parts are left. "
    return (
        f"{sum(about.sizes):,} rows in {len(about.sizes):,} parts. {rest}"
        f"About {max(1, round(seconds / 60))} minutes and ${max(cost, 0.01):.2f} with {batch.engine.concurrency} "
        "functions at once. Score them?"
    )


def refuse_output(name: str) -> None:
    """Raise CommandError for an output that is there already."""
    if Path(name).exists():
        raise CommandError(f"{name}: is there already; remove it, or name another file")


def failed_name(output: str) -> str:
    """Return the name of the file with the rows that could not be scored."""
    return f"{output}.failed.jsonl"


def answers(batch: Batch, sizes: Sequence[int]) -> Iterator[list[Row]]:
    """Yield the answers of each part; of one that is not done, why."""
    done = batch.results()
    reasons = batch.reasons() if len(done) < len(sizes) else {}
    for number, size in enumerate(sizes):
        if number in done:
            yield batch.result(number)
        else:
            yield [{"error": reasons.get(number, "not done yet")}] * size


def new_columns(batch: Batch, sizes: Sequence[int]) -> list[str]:
    """Return the columns of CSV that answers go to, which the first answer says."""
    every = itertools.chain.from_iterable(answers(batch, sizes))
    return list(flattened(next((each for each in every if "error" not in each), {})))


def collect(batch: Batch, again: Callable[[], Iterator[Read]], options: Options, partly: bool) -> int:
    """Write the answers; return the exit code. Parts that are not done stop it, unless it is to write `partly`."""
    manifest = batch.manifest()
    sizes, output = manifest["sizes"], options.output
    missing = len(sizes) - len(batch.results())
    failed, names = 0, failed_name(output)
    csv_columns = [*manifest["columns"], *new_columns(batch, sizes)] if kind(output) == ".csv" else []
    digest = hashlib.sha256()
    with contextlib.ExitStack() as files:
        file = files.enter_context(open_output(output)) if partly or not missing else None
        failures = files.enter_context(open_output(names))
        if file and csv_columns:
            writer = csv.DictWriter(file, csv_columns, lineterminator="\n")
            writer.writeheader()
        number = 0
        for part, found in zip(parts(again(), manifest["part_rows"]), answers(batch, sizes), strict=False):
            digest.update(_digest(part))
            for each, answer in zip(part, found, strict=False):
                number += 1
                if "error" in answer:
                    failed += 1
                    failures.write(json.dumps({"row": number, "place": each.place, "error": answer["error"]}) + "\n")
                    answer = {}
                row = {**each.row, **answer}
                if csv_columns and file:
                    writer.writerow(flattened(row))
                elif file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        if digest.hexdigest() != manifest["digest"]:
            raise CommandError(f"{manifest['input']}: has changed since the batch began")
    if not failed:
        Path(names).unlink()
    if missing:
        log(f"{missing} of {len(sizes)} parts are not done; {names} says why, and the same `run` does them again")
    elif failed:
        log(f"{failed} rows could not be scored; {names} names them")
    log(summary(batch))
    if not missing and not options.keep:
        batch.delete()
    return 1 if failed else 0


def summary(batch: Batch) -> str:
    """Return what the parts that are done took, in a line."""
    done = total(batch)
    per_second = done.rows / done.seconds if done.seconds else 0
    return (
        f"{done.rows:,} rows in {done.seconds:.0f} s of one function ({per_second:,.0f} a second), {done.words:,} "
        f"words read, ${dollars(done, batch.engine.memory_mb):.4f}"
    )


def total(batch: Batch) -> Done:
    """Return what the parts that are done hold together."""
    done = Done()
    for number in batch.results():
        done = done.plus(batch.facts(number))
    return done


def status(batch: Batch) -> None:
    """Print how far a batch is, a name and a value a line."""
    sizes, newest, done = batch.manifest()["sizes"], batch.execution(), total(batch)
    print("execution", f"{batch.name}-{newest.number} {newest.status}" if newest.number else "none")
    print("rows", done.rows, "of", sum(sizes))
    print("parts", done.parts, "of", len(sizes))
    print("failed_rows", done.failed)
    print("dollars", f"{dollars(done, batch.engine.memory_mb):.4f}")
    for number, reason in sorted(batch.reasons().items()):
        print("failed_part", number, reason)


def later(session: boto3.Session, found: Engine, options: Options) -> int:
    """Do a command about a batch that was begun; return the exit code."""
    batch = Batch(found, options.name)
    manifest = batch.manifest()
    if options.command == "status":
        status(batch)
    elif options.command == "stop":
        log(f"{batch.name} is stopped" if batch.stop() else f"{batch.name} is not running")
    else:
        options.output = manifest["output"]
        refuse_output(options.output)
        with local(session, manifest["input"]) as name:
            columns = manifest["text_columns"]
            return collect(batch, lambda: read(name, manifest["input"], batch.model, columns), options, partly=True)
    return 0


def arguments(argv: Sequence[str] | None) -> Options:
    """Return the options of the command line."""
    parser = cli.parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    about: dict[str, Any] = {"description": __doc__, "formatter_class": parser.formatter_class}
    begin = commands.add_parser("run", help="score the rows of a file", **about)
    others = [
        commands.add_parser("status", help="say how far a batch is", **about),
        commands.add_parser("stop", help="stop it", **about),
        commands.add_parser("collect", help="write the answers that are there", **about),
    ]
    begin.add_argument("input", metavar="INPUT", help="the rows, a file or s3://BUCKET/KEY")
    begin.add_argument("output", metavar="OUTPUT", type=answered, help="where they go with their answers")
    begin.add_argument("--model", required=True, choices=MODELS, help="which of the stack's models")
    begin.add_argument("--text-column", action="append", metavar="NAME", help="may be given again: the texts join")
    begin.add_argument(
        "--part-rows",
        type=cli.positive,
        default=PART_ROWS,
        metavar="N",
        help="rows of a part, which a function does at a time (default: %(default)s)",
    )
    begin.add_argument("--yes", action="store_true", help="do not ask")
    begin.add_argument("--no-wait", action="store_true", help="print the name of the batch, and end")
    begin.add_argument("--quiet", action="store_true", help="no progress")
    for command in others:
        command.add_argument("name", metavar="NAME", help="as `run` says it")
    for command in (begin, others[-1]):
        command.add_argument("--keep", action="store_true", help="leave parts and results in the bucket, for a week")
    for command in (begin, *others):
        command.add_argument("--stack", default="serverless-inference", help="its name (default: %(default)s)")
        command.add_argument("--profile", help="named profile of the AWS configuration")
        command.add_argument("--region", help="AWS region")
    options = parser.parse_args(argv)
    if options.command == "run" and options.output == "-":
        parser.error("OUTPUT is a file")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = arguments(argv)
    session = boto3.Session(profile_name=options.profile, region_name=options.region)
    if options.command == "run":
        return run_batch(session, options)
    return later(session, engine(session, options.stack), options)


if __name__ == "__main__":
    run(main)
