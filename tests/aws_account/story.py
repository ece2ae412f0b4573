"""What the steps of a run share: its names, the commands it runs, the requests it sends, what it found."""

import gzip
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import numpy as np
import urllib3

from tests.aws_account import plan
from tests.aws_account.cleaning import client
from tests.aws_account.journal import Journal
from toolkit.cli import CommandError, log

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"
KIM_VECTORS = ROOT / "data/kim_cnn.vectors.txt.gz"
PAIR = {"sent1": "how are glacier caves formed", "sent2": "the ice facade is approximately 60 m high"}
SENTENCE = {"input": "this is a very good movie"}
REQUESTS = {"sm_cnn": PAIR, "kim_cnn": SENTENCE}
LOGITS = {"sm_cnn": "score", "kim_cnn": "output"}
COMMAND_SECONDS = 45 * 60  # an import or a change of a stack may take some ten minutes
GIVE_UP_SECONDS = 60  # for a command to end after it was interrupted


class Skipped(Exception):  # noqa: N818  no error
    """Ends a step that can't be done here; the message says why."""


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Answer(NamedTuple):
    """What a client got; `body` is parsed where it is JSON."""

    status: int
    body: Any
    headers: Any
    milliseconds: float


@dataclass
class Run:
    """One run in one account; `packages` has the zips to deploy, by runtime and model."""

    name: str
    session: boto3.Session
    journal: Journal
    folder: Path  # for what is written here: the log of all commands, packages made for a step
    packages: dict[str, dict[str, Path]]
    rehearsal: bool
    snapstart: bool
    urls: dict[str, str] = field(default_factory=dict)
    expected: dict[str, list[Any]] = field(default_factory=dict)  # logits of the sample requests, by the checkout
    facts: list[str] = field(default_factory=list)  # of the step that is running
    failures: list[str] = field(default_factory=list)
    measurements: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: Iterator[int] = field(default_factory=itertools.count)
    pool: Any = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=40, maxsize=32))
    words: dict[str, Iterator[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Shuffle the words of the sample, once for each model: what it is asked next, no function has cached."""
        with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
            words = [word for line in lines if re.fullmatch("[a-z]+", word := line.partition(" ")[0])]
        for number, model in enumerate(REQUESTS):
            shuffled = random.Random(number).sample(words, len(words))
            self.words[model] = itertools.cycle(shuffled)

    def client(self, service: str) -> Any:
        """Return a client of a service in the run's account and region."""
        return client(self.session, service)

    # What it found

    def check(self, right: bool, wrong: str) -> None:
        """Write down a failure, unless it is right; the run goes on, and fails at its end."""
        if not right:
            log(f"  WRONG: {wrong}")
            self.failures.append(wrong)

    def fact(self, text: str) -> None:
        """Write down what is worth knowing."""
        log(f"  {text}")
        self.facts.append(text)

    def only_aws(self, shows: str) -> bool:
        """Return whether this is AWS; in a rehearsal, write down what AWS would show here."""
        if self.rehearsal:
            self.fact(f"only AWS can tell: {shows}")
        return not self.rehearsal

    # Commands

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a command of the project in a group of its own, the journal locked for as long as it lives."""
        interpreter = [sys.executable] if str(words[0]).endswith(".py") else []
        line = [*interpreter, *(str(word) for word in words)]
        with (self.folder / "commands.log").open("a") as file:
            file.write(f"\n$ {' '.join(line)}\n")
        return subprocess.Popen(
            line, cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, pass_fds=[self.journal.file.fileno()],
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], interrupt_after: float | None = None) -> Ran:
        """Wait for a command's end; when this process is interrupted meanwhile, interrupt it and all it started."""
        try:
            stdout, stderr = process.communicate(timeout=interrupt_after or COMMAND_SECONDS)
        except BaseException as error:
            _stop(process)
            if interrupt_after is None or not isinstance(error, subprocess.TimeoutExpired):
                raise
            stdout, stderr = process.communicate()
        with (self.folder / "commands.log").open("a") as file:
            file.write(f"{stdout}{stderr}[exit {process.returncode}]\n")
        return Ran(process.returncode, stdout, stderr)

    def command(self, *words: str | Path, code: int = 0) -> Ran:
        """Run a command of the project to its end; raise CommandError when it ends with another exit code."""
        ran = self.finish(self.start(*words))
        if ran.code != code:
            last = "\n    ".join(ran.stderr.strip().splitlines()[-12:])
            raise CommandError(f"{Path(words[0]).name} {words[1]} exits {ran.code}, not {code}:\n    {last}")
        return ran

    def deploy(self, command: str, *words: str | Path, code: int = 0) -> Ran:
        """Run utils/deploy.py on the stack of this run; keep the URLs that `up` prints."""
        names = ["--stack", self.name, "--bucket", self.files]
        tags = ["--tag", f"si-test={self.name}"] if command == "up" else []
        ran = self.command(ROOT / "utils/deploy.py", command, *names, *tags, *words, code=code)
        if command == "up" and code == 0:
            self.urls = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
        return ran

    def package_options(self, runtime: str, *models: str) -> list[str | Path]:
        """Return the options of `up` that deploy the packages of a runtime, by default those of both models."""
        zips = self.packages[runtime]
        return [word for model in models or zips for word in (f"--{model.replace('_', '-')}", zips[model])]

    # Names

    @property
    def files(self) -> str:
        """The bucket for packages and for the source of an import."""
        return f"{self.name}-files"

    @property
    def runtime(self) -> str:
        """The runtime of the package that is deployed first."""
        return next(iter(self.packages))

    def table(self, suffix: str) -> str:
        """Return the name of one of the run's tables."""
        return f"{self.name}-{suffix}"

    def resource(self, name: str) -> str:
        """Return the physical name of a resource of the stack."""
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=name)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def status(self) -> str | None:
        """Return the stack's status, None when there is no stack."""
        cloudformation = self.client("cloudformation")
        try:
            return str(cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])
        except cloudformation.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def live(self) -> dict[str, str]:
        """Return the version that each function serves."""
        found = {}
        for prefix in ("SmCnn", "KimCnn"):
            function = self.resource(f"{prefix}Function")
            alias = self.client("lambda").get_alias(FunctionName=function, Name="live")
            found[prefix] = str(alias["FunctionVersion"])
        return found

    # Requests

    def url(self, model: str) -> str:
        """Return where a model is served."""
        return self.urls[{"sm_cnn": "SmCnnUrl", "kim_cnn": "KimCnnUrl"}[model]]

    def send(self, url: str, fields: Any = None, method: str = "POST", **headers: str) -> Answer:
        """Send `fields` as JSON, or bytes as they are; raise CommandError when the run has sent too many."""
        if next(self.requests) >= plan.MOST_REQUESTS:
            raise CommandError(f"the run has sent the {plan.MOST_REQUESTS:,} requests of its plan")
        body = json.dumps(fields).encode() if isinstance(fields, dict) else fields
        started = time.perf_counter()
        got = self.pool.request(method, url, body=body, headers={"Content-Type": "application/json", **headers})
        milliseconds = 1e3 * (time.perf_counter() - started)
        try:
            parsed = json.loads(got.data) if got.data else None
        except ValueError:
            parsed = got.data.decode(errors="replace")
        return Answer(got.status, parsed, got.headers, milliseconds)

    def fresh(self, model: str) -> dict[str, str]:
        """Return a request for a model with two words that its function has not read before."""
        words = [next(self.words[model]) for _ in range(2)]
        return {"input": " ".join(words)} if model == "kim_cnn" else {"sent1": words[0], "sent2": words[1]}

    def logits(self, model: str) -> Any:
        """Return the logits of the sample request to a model; write down a failure when it gets none."""
        answer = self.send(self.url(model), REQUESTS[model])
        self.check(answer.status == 200, f"{model} answers {answer.status}: {answer.body}")
        return answer.body[LOGITS[model]] if answer.status == 200 else None

    def check_answers(self, **other: Any) -> None:
        """Check the answers to both sample requests: those of the checkout, or the logits in `other`."""
        for model, logits in {**self.expected, **other}.items():
            got = self.logits(model)
            if got is not None:
                off = float(np.abs(np.subtract(got, logits)).max())
                self.check(off <= 1e-4, f"{model} answers {got}, {off:.1g} off {logits}")


def _stop(process: subprocess.Popen[str]) -> None:
    """Interrupt a command and all that it started; kill them when they have not ended after GIVE_UP_SECONDS."""
    for kind in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(GIVE_UP_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


class Traffic:
    """Requests with fresh words to both models, a steady number a second, and how they were answered."""

    RATE = 5.0  # requests a second, of both models together

    def __init__(self, run: Run) -> None:
        """Start with nothing sent."""
        self.run = run
        self.statuses: dict[int, int] = {}
        self.wrong: list[str] = []
        self._over = threading.Event()

    def _send(self) -> None:
        for model in itertools.cycle(REQUESTS):
            if self._over.wait(1 / self.RATE):
                return
            try:
                answer = self.run.send(self.run.url(model), self.run.fresh(model))
                status, body = answer.status, answer.body
            except (CommandError, urllib3.exceptions.HTTPError) as error:
                status, body = 0, str(error)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != 200 and len(self.wrong) < 5:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {model} {status} {body}")

    def __enter__(self) -> "Traffic":
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)


@contextmanager
def under_traffic(run: Run, what: str) -> Iterator[None]:
    """Send fresh words to both models meanwhile; check that every request was answered."""
    with Traffic(run) as traffic:
        yield
    sent = sum(traffic.statuses.values())
    other = sent - traffic.statuses.get(200, 0)
    run.fact(f"{what}: {sent} requests meanwhile, {other} not answered with 200")
    run.check(other == 0, f"{what}: {traffic.statuses} by status; the first: {traffic.wrong}")


def waited_for(done: Callable[[], bool], seconds: float, pause: float = 1.0) -> bool:
    """Return whether `done` was true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
