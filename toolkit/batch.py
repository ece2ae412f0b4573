"""A batch in the cloud: its parts and results in S3, its executions in Step Functions, and what it costs.

A batch has the name MODEL-DIGEST, of what it scores and with what, so the same command finds it again. Under
MODEL/DIGEST/ of the stack's bucket are manifest.json, parts/ with what is to be done, and results/ with what is done
(inference/batch.py has their form). Its executions are NAME-1, NAME-2, …, each over the parts that are left.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from toolkit import prices
from toolkit.cli import CommandError
from toolkit.deployment import deployed
from toolkit.vectors.prices import DOLLARS_PER_READ_UNIT

PART_ROWS = 5000  # a part costs as much as some hundred rows; more rows are lost when one fails
PAGE = 1000  # objects that S3 deletes in a call
TRANSITIONS = 2  # of Step Functions a part: its execution begins, and its task
PUTS, GETS = 2, 4  # of S3 a part: the part and its result written; read, looked for, looked at and collected
PART_DOLLARS = (
    TRANSITIONS * prices.DOLLARS_PER_TRANSITION + PUTS * prices.DOLLARS_PER_S3_PUT + GETS * prices.DOLLARS_PER_S3_GET
)


class Done(NamedTuple):
    """What results hold, or a single one."""

    parts: int = 0
    rows: int = 0
    failed: int = 0  # rows without an answer
    words: int = 0  # read from the table
    seconds: float = 0.0  # of the functions

    def plus(self, other: "Done") -> "Done":
        """Return the sum."""
        return Done._make(one + another for one, another in zip(self, other, strict=True))


def dollars(done: Done, memory_mb: float, units: float = 0.5) -> float:
    """Return what so much costs on AWS; `units` are the read units of a word's item."""
    compute = done.seconds * memory_mb / 1024 * prices.DOLLARS_PER_GB_SECOND
    reads = done.words * units * DOLLARS_PER_READ_UNIT
    return compute + reads + done.parts * (prices.DOLLARS_PER_LAMBDA_REQUEST + PART_DOLLARS)


@dataclass(frozen=True)
class Engine:
    """What a stack runs batches with; the bucket is of account `owner`, and S3 refuses a call for another's."""

    s3: Any
    states: Any
    machine: str
    bucket: str
    owner: str
    functions: dict[str, str]  # model: ARN
    codes: dict[str, str]  # model: the digest of its package
    memory_mb: int
    concurrency: int

    @property
    def where(self) -> dict[str, str]:
        """The arguments that each call of S3 has."""
        return {"Bucket": self.bucket, "ExpectedBucketOwner": self.owner}


def engine(session: boto3.Session, name: str) -> Engine:
    """Return the engine of the stack `name`; raise CommandError if it has none."""
    client = deployed.cloudformation(session)
    stack = deployed.find(client, name)
    if stack is None or "BatchMachine" not in stack.outputs:
        what = "has no batches" if stack else "is not here"
        raise CommandError(f"stack {name} {what}; utils/deploy.py up --stack {name} --parameter Batch=on makes them")
    lambdas, config = session.client("lambda"), Config(retries={"mode": "standard", "total_max_attempts": 10})
    functions = deployed.functions(client, name, "Batch")
    found = {model: lambdas.get_function_configuration(FunctionName=each) for model, each in functions.items()}
    return Engine(
        session.client("s3", config=config),
        session.client("stepfunctions", config=config),
        stack.outputs["BatchMachine"],
        stack.outputs["BatchBucket"],
        str(session.client("sts").get_caller_identity()["Account"]),
        {model: each["FunctionArn"] for model, each in found.items()},
        {model: each["CodeSha256"] for model, each in found.items()},
        int(stack.parameters["Memory"]),
        int(stack.parameters["BatchConcurrency"]),
    )


class Execution(NamedTuple):
    """The newest execution of a batch."""

    number: int  # 0: there was none
    status: str
    reason: str


class Batch:
    """A batch of an engine, by its name."""

    def __init__(self, engine: Engine, name: str):
        """Raise CommandError for a name that no batch has."""
        model, _, digest = name.rpartition("-")
        if model not in engine.functions or not digest:
            raise CommandError(f"{name} is no name of a batch; `run` says it, as in kim_cnn-0123456789abcdef")
        self.engine, self.name, self.model, self.prefix = engine, name, model, f"{model}/{digest}/"

    def _key(self, kind: str, number: int) -> str:
        return f"{self.prefix}{kind}/{number:06}.jsonl.gz"

    def _numbers(self, kind: str) -> set[int]:
        prefix = f"{self.prefix}{kind}/"
        pages = self.engine.s3.get_paginator("list_objects_v2").paginate(Prefix=prefix, **self.engine.where)
        return {
            int(each["Key"].removeprefix(prefix).partition(".")[0])
            for page in pages
            for each in page.get("Contents", [])
        }

    def parts(self) -> set[int]:
        """Return the numbers of the parts that are there to be done."""
        return self._numbers("parts")

    def results(self) -> set[int]:
        """Return the numbers of the parts that are done."""
        return self._numbers("results")

    def facts(self, number: int) -> Done:
        """Return what the result of a part holds."""
        facts = self.engine.s3.head_object(Key=self._key("results", number), **self.engine.where)["Metadata"]
        return Done(1, int(facts["rows"]), int(facts["failed"]), int(facts["words"]), float(facts["seconds"]))

    def send(self, number: int, texts: Iterable[Sequence[str | None]]) -> None:
        """Write a part: the texts of each row."""
        lines = "".join(json.dumps(row) + "\n" for row in texts)
        body = gzip.compress(lines.encode(), 6, mtime=0)
        self._put(self._key("parts", number), body)

    def result(self, number: int) -> list[dict[str, Any]]:
        """Return the answers of a part that is done, one a row."""
        found = self.engine.s3.get_object(Key=self._key("results", number), **self.engine.where)
        return [json.loads(line) for line in gzip.decompress(found["Body"].read()).splitlines()]

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Keep what `collect` has to know."""
        self._put(f"{self.prefix}manifest.json", json.dumps(manifest).encode())

    def manifest(self) -> dict[str, Any]:
        """Return what `write_manifest` kept; raise CommandError when there is none."""
        try:
            found = self.engine.s3.get_object(Key=f"{self.prefix}manifest.json", **self.engine.where)
        except self.engine.s3.exceptions.NoSuchKey:
            raise CommandError(f"no batch {self.name} here: it is collected, older than a week, or another's") from None
        manifest: dict[str, Any] = json.loads(found["Body"].read())
        return manifest

    def _put(self, key: str, body: bytes) -> None:
        self.engine.s3.put_object(Key=key, Body=body, ChecksumAlgorithm="SHA256", **self.engine.where)

    def forget_parts(self, numbers: Iterable[int]) -> None:
        """Remove parts that are done, so that the next execution does not go over them."""
        self._delete([self._key("parts", number) for number in sorted(numbers)])

    def delete(self) -> None:
        """Remove all that the batch has in the bucket, the manifest last."""
        pages = self.engine.s3.get_paginator("list_objects_v2").paginate(Prefix=self.prefix, **self.engine.where)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        self._delete(sorted(keys, key=lambda key: key.endswith("manifest.json")))

    def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), PAGE):
            objects = [{"Key": key} for key in keys[start : start + PAGE]]
            answer = self.engine.s3.delete_objects(Delete={"Objects": objects, "Quiet": True}, **self.engine.where)
            if errors := answer.get("Errors"):
                raise CommandError(f"{errors[0]['Key']}: can't be deleted: {errors[0]['Message']}")

    def _arn(self, number: int) -> str:
        return f"{self.engine.machine.replace(':stateMachine:', ':execution:')}:{self.name}-{number}"

    def execution(self) -> Execution:
        """Return the newest execution."""
        found = Execution(0, "", "")
        while True:
            try:
                state = self.engine.states.describe_execution(executionArn=self._arn(found.number + 1))
            except self.engine.states.exceptions.ExecutionDoesNotExist:
                return found
            reason = ": ".join(filter(None, (state.get("error"), state.get("cause"))))
            found = Execution(found.number + 1, state["status"], reason)

    def start(self) -> None:
        """Start the next execution over the parts that are there; one that another has just started will do."""
        number = self.execution().number + 1
        given = {"function": self.engine.functions[self.model], "prefix": f"{self.prefix}parts/"}
        self.engine.states.start_execution(
            stateMachineArn=self.engine.machine, name=f"{self.name}-{number}", input=json.dumps(given)
        )

    def stop(self) -> bool:
        """Stop the newest execution; return whether it was running."""
        newest = self.execution()
        if newest.status != "RUNNING":
            return False
        self.engine.states.stop_execution(executionArn=self._arn(newest.number), cause="stopped by utils/batch.py")
        return True

    def reasons(self) -> dict[int, str]:
        """Return why parts failed in the newest execution, by their number."""
        newest = self.execution()
        return dict(self._failures(newest.number)) if newest.number else {}

    def _failures(self, number: int) -> Iterator[tuple[int, str]]:
        states = self.engine.states
        for runs in states.get_paginator("list_map_runs").paginate(executionArn=self._arn(number)):
            for run in runs["mapRuns"]:
                of_run = {"mapRunArn": run["mapRunArn"], "statusFilter": "FAILED"}
                for page in states.get_paginator("list_executions").paginate(**of_run):
                    for each in page["executions"]:
                        state = states.describe_execution(executionArn=each["executionArn"])
                        key = json.loads(state["input"])["key"].rpartition("/")[2]
                        yield int(key.partition(".")[0]), cause(state.get("error", ""), state.get("cause", ""))


def cause(error: str, text: str) -> str:
    """Return why a function failed, in a line: what it raised, without its traceback."""
    try:
        raised = json.loads(text)
        return f"{raised['errorType']}: {raised['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return ": ".join(filter(None, (error, text)))
