"""The steps of a run, in order: those of README.md with the project's own commands, and what must hold after each.

A step that fails ends; the run goes on with the next one, unless nothing could work without it, and fails at its end.
"""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.aws_account import measurements
from tests.aws_account.story import (
    KIM_VECTORS,
    LOGITS,
    REQUESTS,
    ROOT,
    SAMPLE,
    SENTENCE,
    Answer,
    Run,
    Skipped,
    under_traffic,
    waited_for,
)
from toolkit.vectors.guards import READ_UNITS

COLD, WARM = 8, 40  # requests that measure a package: at once, and one after another of each kind
FEW = 1  # of them in a rehearsal, as the processors here are no measure
UPLOAD = ROOT / "utils/upload_word_vectors_to_dynamo.py"
ORIGIN = {"Origin": "https://example.org"}
MAIL = "si-test@example.org"  # which nobody reads


class Step(NamedTuple):
    """A step: what does it, whether the run ends when it fails, and what only AWS can tell where all of it is that."""

    do: Callable[[Run], None]
    essential: bool
    aws_only: str

    @property
    def name(self) -> str:
        """Its name on the command line and in the report."""
        return self.do.__name__

    @property
    def about(self) -> str:
        """What it does, a sentence."""
        return (self.do.__doc__ or "").partition("\n")[0]


STEPS: list[Step] = []


def step(essential: bool = False, aws_only: str = "") -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Make a function the next step."""

    def add(do: Callable[[Run], None]) -> Callable[[Run], None]:
        STEPS.append(Step(do, essential, aws_only))
        return do

    return add


@step(essential=True)
def preflight(run: Run) -> None:
    """Ask the account for what a deployment can fail by; free."""
    if run.only_aws("the account's quotas; how full its log policy is"):
        limits = run.client("lambda").get_account_settings()["AccountLimit"]
        run.fact(f"Lambda runs at most {limits['ConcurrentExecutions']} requests at once")
        policies = run.client("logs").describe_resource_policies()["resourcePolicies"]
        run.fact(f"log resource policies of {[len(each['policyDocument']) for each in policies]} characters, of 5,120")


@step(essential=True)
def vectors(run: Run) -> None:
    """Upload the vectors of both models directly, read one back, again, and import the other through S3."""
    table, imported, kim = (run.journal.note("table", run.table(name)) for name in ("words", "imported", "kim"))
    run.journal.note("bucket", run.files)
    region = run.session.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    run.client("s3").create_bucket(Bucket=run.files, **where)
    tag = ["--tag", f"si-test={run.name}"]
    first = run.command(UPLOAD, SAMPLE, table, "--create-table", "--verify", "--quiet", *tag)
    run.check("10,085 words written" in first.stdout, f"the upload says {first.stdout!r}")
    again = run.command(UPLOAD, SAMPLE, table, "--create-table", "--verify", "--quiet", *tag)
    run.check("written" not in again.stdout, f"the second upload writes again: {again.stdout!r}")
    run.check("10,085 words in table" in again.stdout, f"the second upload does not verify: {again.stdout!r}")
    run.command(UPLOAD, KIM_VECTORS, kim, "--create-table", "--quiet", *tag)
    started = time.monotonic()
    run.command(UPLOAD, KIM_VECTORS, imported, "--via-s3", run.files, "--verify", "--quiet", *tag)
    run.fact(f"21,674 words imported through S3 in {time.monotonic() - started:.0f} s")
    objects = run.client("s3").list_objects_v2(Bucket=run.files).get("Contents", [])
    run.check(not objects, f"the import leaves {[each['Key'] for each in objects]} in the bucket")
    dynamodb = run.client("dynamodb")
    for name in (table, imported, kim):
        description = dynamodb.describe_table(TableName=name)["Table"]
        run.check(description["TableStatus"] == "ACTIVE", f"table {name} is {description['TableStatus']}")
        run.check(description.get("DeletionProtectionEnabled", False), f"table {name} may be deleted by mistake")
        bound = description.get("OnDemandThroughput", {}).get("MaxReadRequestUnits")
        run.check(bound == READ_UNITS, f"table {name} takes {bound} read units a second")


@step(essential=True)
def first(run: Run) -> None:
    """Deploy both models, compare their answers with the checkout's, and try the API's errors and headers."""
    run.journal.note("stack", run.name)
    run.expected = checkout_logits({"sm_cnn": run.table("words"), "kim_cnn": run.table("kim")})
    deploy_afresh(run)
    check_errors(run)
    check_cors(run)
    measure(run, run.runtime)
    check_logs(run)
    check_alarms(run)


def deploy_afresh(run: Run) -> None:
    """Deploy both models, where there is no stack, and check their answers."""
    parameters = [f"SmCnnTable={run.table('words')}", f"KimCnnTable={run.table('kim')}", "LogRetention=1"]
    parameters += [f"AlarmEmail={MAIL}", "Metrics=on", "Tracing=on", "PlatformLogs=on"]
    parameters += lambda_options(run.packages[run.runtime]["kim_cnn"])
    run.deploy("up", *run.package_options(run.runtime), *(f"--parameter={each}" for each in parameters))
    run.check_answers()


def lambda_options(package: Path) -> list[str]:
    """Return the parameters of the template that say for which Python and processor a package was built."""
    names = zipfile.ZipFile(package).namelist()
    for name in names:
        for version in ("3.11", "3.12", "3.13", "3.14"):
            for machine, architecture in (("x86_64", "x86_64"), ("aarch64", "arm64")):
                if name.endswith(f".cpython-{version.replace('.', '')}-{machine}-linux-gnu.so"):
                    return [f"PythonRuntime=python{version}", f"Architecture={architecture}"]
    return []


def checkout_logits(tables: dict[str, str]) -> dict[str, list[Any]]:
    """Return the logits that this checkout gives the sample requests, by model, with the vectors of its table."""
    logits = {}
    for model, table in tables.items():
        code = f"import {model.replace('cnn', 'handler')} as it; print(it.handler({REQUESTS[model]!r}, None)['body'])"
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "WORD_VECTORS_TABLE": table},
            check=True, text=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        logits[model] = json.loads(ran.stdout.splitlines()[-1])[LOGITS[model]]
    return logits


def check_errors(run: Run) -> None:
    """Check the errors that docs/api.md lists."""
    url = run.url("kim_cnn")
    for answer, status, name in (
        (run.send(url, b"{"), 400, "error"),
        (run.send(url, method="PUT"), 405, "error"),
        (run.send(url, {"input": "word " * 40_000}), 413, "error"),
        (run.send(url.replace("kim_cnn", "no-such-path"), SENTENCE), 404, "message"),
    ):
        right = answer.status == status and isinstance(answer.body, dict) and name in answer.body
        run.check(right, f"{answer.status} {answer.body} where {status} with `{name}` belongs")


def check_cors(run: Run) -> None:
    """Check that a page of another origin may call, and note what a caller without an origin gets."""
    url, allow = run.url("kim_cnn"), "Access-Control-Allow-Origin"
    answer = run.send(url, SENTENCE, **ORIGIN)
    run.check(answer.headers.get(allow) == "*", f"with Origin, {allow} is {answer.headers.get(allow)}")
    run.fact(f"without Origin, {allow} is {run.send(url, SENTENCE).headers.get(allow)}")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = run.send(url, method="OPTIONS", **ORIGIN, **asked)
    methods = preflight.headers.get("Access-Control-Allow-Methods", "")
    run.check(preflight.status in (200, 204) and "POST" in methods, f"preflight: {preflight.status}, {methods!r}")


def messages(run: Run, group: str, since: float) -> list[str]:
    """Return what a log group of the stack has got since a time."""
    logs, found = run.client("logs"), []
    request = {"logGroupName": run.resource(group), "startTime": int(1000 * since)}
    for page in logs.get_paginator("filter_log_events").paginate(**request):
        found += [event["message"].strip() for event in page["events"]]
    return found


def check_logs(run: Run) -> None:
    """Check that the API logs a line of JSON for each request, and the function nothing but JSON."""
    if not run.only_aws("logs arrive, and each line is JSON, those of the API with a request id"):
        return
    for group, name in (("ApiLogs", "request"), ("KimCnnLogs", "")):
        lines: list[str] = []

        def arrived(group: str = group, lines: list[str] = lines) -> bool:
            lines[:] = messages(run, group, time.time() - 3600)
            return bool(lines)

        run.check(waited_for(arrived, 120, pause=5), f"no line in {group} after two minutes")
        for line in lines:
            try:
                run.check(name in (*json.loads(line), ""), f"no {name} in {group}: {line}")
            except ValueError:
                run.check(False, f"no JSON in {group}: {line}")
        run.fact(f"{len(lines)} lines in {group}")


def check_alarms(run: Run) -> None:
    """Check that the alarms are there and go to the stack's topic, and that none rings."""
    found = run.client("cloudwatch").describe_alarms(AlarmNamePrefix=run.name)["MetricAlarms"]
    run.check(len(found) > 2, f"alarms {[each['AlarmName'] for each in found]}")
    ringing = [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]
    run.check(not ringing, f"{ringing} ring")
    topic = run.resource("AlarmMails")
    run.check(all(each["AlarmActions"] == [topic] for each in found), f"not all go to {topic}")


def measure(run: Run, name: str) -> None:
    """Measure what is deployed: cold starts by requests at once, then warm requests, cached and with fresh words."""
    since, url = time.time(), run.url("kim_cnn")
    cold, warm = (FEW, FEW) if run.rehearsal else (COLD, WARM)

    def times(send: Callable[[], Answer], number: int) -> tuple[list[float], list[float]]:
        answers = [send() for _ in range(number)]
        run.check(all(answer.status == 200 for answer in answers), f"{name}: {[a.status for a in answers]}")
        good = [answer for answer in answers if answer.status == 200]
        return [answer.milliseconds for answer in good], [1e3 * answer.body["t_overall"] for answer in good]

    with ThreadPoolExecutor(cold) as pool:
        at_once = list(pool.map(lambda _: run.send(url, SENTENCE), range(cold)))
    run.check(all(answer.status == 200 for answer in at_once), f"{name}, at once: {[a.status for a in at_once]}")
    client, function = {}, {}
    client["cached"], function["cached"] = times(lambda: run.send(url, SENTENCE), warm)
    client["fresh"], function["fresh"] = times(lambda: run.send(url, run.fresh("kim_cnn")), warm)
    wanted = cold + 2 * warm
    found: list[measurements.Report] = []

    def arrived() -> bool:
        found[:] = list(measurements.reports(messages(run, "KimCnnLogs", since)))
        return len(found) >= wanted

    if not waited_for(arrived, 10 if run.rehearsal else 120, pause=1 if run.rehearsal else 5):
        run.fact(f"{name}: {len(found)} REPORT lines for {wanted} requests")
    measured = run.measurements[name] = measurements.of_package(found, client, function)
    run.only_aws("Init Duration, Max Memory Used and Duration of the real packages; latency of clients")
    run.fact(f"{name}: init {measured['init_ms']}, at most {measured['max_memory_mb']} MB, {measured['duration_ms']}")


@step()
def unchanged(run: Run) -> None:
    """Deploy the same again: nothing changes."""
    before = run.live()
    ran = run.deploy("up", *run.package_options(run.runtime))
    run.check(run.live() == before, f"versions {before} became {run.live()}; it says {ran.stderr[-300:]}")


@step()
def renewed(run: Run) -> None:
    """Publish new versions though nothing has changed, as after an upload into the table: the same answers."""
    before = run.live()
    run.deploy("up", "--renew")
    run.check(not run.live().items() & before.items(), f"versions {before} became {run.live()}")
    run.check_answers()


@step(aws_only="CodeDeploy shifts traffic, and `up` waits for its end")
def canary(run: Run) -> None:
    """Shift traffic to new versions in five minutes while both models are asked for fresh words: none fails."""
    run.deploy("up", "--parameter=Canary=Canary10Percent5Minutes")
    before, started = run.live(), time.monotonic()
    with under_traffic(run, "a canary"):
        run.deploy("up", "--renew")
    run.fact(f"the canary and what is around it took {time.monotonic() - started:.0f} s")
    run.check(time.monotonic() - started > 5 * 60, "`up` did not wait for the canary")
    run.check(not run.live().items() & before.items(), f"versions {before} became {run.live()}")
    run.deploy("rollback")
    run.check(run.live() == before, f"rollback: versions {run.live()}, not {before}")
    run.deploy("up", "--renew")  # which moves traffic at once
    run.check_answers()
    run.deploy("up", "--parameter=Canary=off")


@step()
def other_runtime(run: Run) -> None:
    """Deploy the torch packages: the same answers."""
    if "torch" not in run.packages:
        raise Skipped("no torch packages; utils/create_deployment_package.sh makes them, see docs/test-aws.md")
    run.deploy("up", *run.package_options("torch"))
    run.check_answers()
    measure(run, "torch")
    run.deploy("up", *run.package_options(run.runtime))


@step()
def traffic(run: Run) -> None:
    """Change the memory, the table and the weights while both models are asked for fresh words: none fails."""
    with under_traffic(run, "more memory"):
        run.deploy("up", "--parameter=Memory=2048")
    with under_traffic(run, "another table"):
        run.deploy("up", f"--parameter=KimCnnTable={run.table('imported')}")
    run.check_answers()
    package = other_weights(run)
    with under_traffic(run, "other weights"):
        run.deploy("up", "--kim-cnn", package)
    run.check_answers(kim_cnn=[run.expected["kim_cnn"][0] + 0.5, *run.expected["kim_cnn"][1:]])
    run.only_aws("requests that fail while a version, a table or a permission changes, which takes a minute there")


def other_weights(run: Run) -> Path:
    """Build a package of Kim CNN with another bias of the first class, by half: a model trained anew, in small."""
    import torch  # takes seconds

    from toolkit.training.model_writer import write_model

    content = torch.load(ROOT / "kim_cnn.model", weights_only=True)
    bias = list(content["state_dict"])[-1]
    content["state_dict"][bias][0] += 0.5
    if "check" in content:
        content["check"]["logits"][0][0] += 0.5  # of the first row, as each has the bias
    model, package = run.folder / "other.model", run.folder / "other.zip"
    write_model(model, **content)
    built_for = lambda_options(run.packages[run.runtime]["kim_cnn"])
    options = [
        each.replace("PythonRuntime=python", "--python=").replace("Architecture=", "--arch=") for each in built_for
    ]
    words = [word for each in options for word in each.split("=")]
    run.command(
        ROOT / "utils/create_deployment_package.sh", "kim_cnn", "--runtime", run.runtime, *words,
        "--model", model, "--output", package,
    )  # fmt: skip
    return package


@step()
def rollback(run: Run) -> None:
    """Go back to the version before: the old weights answer; then forward again, with their package."""
    run.deploy("rollback")
    run.check_answers()
    run.deploy("up", *run.package_options(run.runtime, "kim_cnn"))
    run.check_answers()


@step()
def broken(run: Run) -> None:
    """Deploy a package that can't start: refused, its reason named, and the version before goes on answering."""
    package = run.folder / "broken.zip"
    with zipfile.ZipFile(run.packages[run.runtime]["kim_cnn"]) as whole, zipfile.ZipFile(package, "w") as copy:
        for entry in whole.infolist():
            if not entry.filename.startswith(("kim_handler.py", "__pycache__/kim_handler.")):
                copy.writestr(entry, whole.read(entry))
        copy.writestr("kim_handler.py", 'raise RuntimeError("this package is not meant to start")\n')
    refused(run, "this package is not meant to start", "--kim-cnn", package)


@step()
def empty_table(run: Run) -> None:
    """Change to an empty table: refused, and the version before goes on answering."""
    table, dynamodb = run.journal.note("table", run.table("empty")), run.client("dynamodb")
    described = dynamodb.describe_table(TableName=run.table("words"))["Table"]
    keys = {name: described[name] for name in ("KeySchema", "AttributeDefinitions")}
    tags = [{"Key": "si-test", "Value": run.name}]
    dynamodb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", Tags=tags, **keys)
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
    refused(run, "", f"--parameter=KimCnnTable={table}")


def refused(run: Run, reason: str, *options: str | Path) -> None:
    """Check that `up` with these options fails with the reason, rolls back, and leaves the answers as they were."""
    before = run.live()
    ran = run.deploy("up", *options, code=1)
    last = ran.stderr.strip().splitlines()[-1]
    run.check(reason in last and last.startswith("deploy.py: "), f"the last line is {last!r}")
    run.fact(f"it says: {last}")
    run.check(run.status() == "UPDATE_ROLLBACK_COMPLETE", f"the stack is {run.status()}")
    run.check(run.live() == before, f"versions {before} became {run.live()}")
    run.check_answers()


@step()
def interrupted(run: Run) -> None:
    """Interrupt an `up` while the stack is being changed: the next one shows its end."""
    process = run.start(ROOT / "utils/deploy.py", "up", "--stack", run.name, "--bucket", run.files,
                        "--parameter=Memory=1769")  # fmt: skip
    changing = waited_for(
        lambda: "IN_PROGRESS" in str(run.status()) or process.poll() is not None, 300, 0.05 if run.rehearsal else 2
    )
    run.check(changing and process.poll() is None, "the change was over before it could be interrupted")
    ran = run.finish(process, interrupt_after=0.01)
    run.check(ran.code in (0, 130), f"interrupted, it exits {ran.code}: {ran.stderr[-300:]}")
    run.deploy("up", "--parameter=Memory=1769")
    run.check_answers()


@step(aws_only="the shape of a 429, its CORS headers, and that the gateway throttles at all")
def throttle(run: Run) -> None:
    """Let five requests a second through, send more, and note what the gateway answers then."""
    run.deploy("up", "--parameter=Throttle=5")

    found: list[Answer] = []

    def throttled() -> bool:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: run.send(run.url("kim_cnn"), SENTENCE, **ORIGIN), range(60)))
        found[:] = [answer for answer in answers if answer.status == 429]
        return bool(found)

    waited_for(throttled, 120, pause=5)
    run.check(bool(found), "no request is throttled within two minutes")
    for answer in found[:1]:
        run.check(answer.body == {"message": "Too Many Requests"}, f"a 429 has the body {answer.body!r}")
        run.fact(f"headers of a 429: {dict(answer.headers)}")
    run.deploy("up", "--parameter=Throttle=20")


@step()
def front(run: Run) -> None:
    """Serve through function URLs, open and for signed requests alone, and then through an API again."""
    run.deploy("up", "--parameter=Front=function-url")
    run.check("lambda-url" in run.url("kim_cnn"), f"Kim CNN is at {run.url('kim_cnn')}")
    run.only_aws("that an open URL lets callers in when `up` ends, with its headers of CORS once")
    run.check_answers()
    check_cors(run)
    run.deploy("up", "--parameter=Auth=iam")
    url = run.url("kim_cnn")
    closed = waited_for(lambda: run.send(url, SENTENCE).status == 403, 60)
    run.check(closed, "after a minute a request without a signature is answered still")
    body = json.dumps(SENTENCE).encode()
    answer = run.send(url, body, **signature(run, url, body))
    run.check(answer.status == 200, f"with a signature: {answer.status} {answer.body}")
    run.deploy("up", "--parameter=Auth=none", "--parameter=Front=http-api")
    run.check_answers()


def signature(run: Run, url: str, body: bytes) -> dict[str, str]:
    """Return the headers that sign a POST to a function URL."""
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
    SigV4Auth(run.session.get_credentials(), "lambda", run.session.region_name).add_auth(request)
    return dict(request.headers)


@step()
def page(run: Run) -> None:
    """Put the demo page on the web and read it as a stranger."""
    if not run.rehearsal and public_buckets_forbidden(run):
        raise Skipped("the account blocks public buckets")
    run.deploy("up", "--page")
    url = run.urls["PageUrl"]
    for name, kind in (("index.html", "text/html"), ("", "")):
        address = url if name else url.replace("index.html", "no-such-file")
        answer = run.send(address, method="GET")
        if name:
            got = answer.headers.get("Content-Type", "")
            run.check(answer.status == 200 and got.startswith(kind), f"{address}: {answer.status}, {got}")
            run.check(run.url("kim_cnn").removesuffix("/kim_cnn") in str(answer.body), "the page does not name the API")
        else:
            run.check(answer.status in (403, 404), f"{address}: {answer.status}")


def public_buckets_forbidden(run: Run) -> bool:
    """Return whether the account blocks public buckets, all of them."""
    s3control = run.client("s3control")
    try:
        found = s3control.get_public_access_block(AccountId=run.journal.account)["PublicAccessBlockConfiguration"]
    except s3control.exceptions.NoSuchPublicAccessBlockConfiguration:
        return False
    return bool(found.get("BlockPublicPolicy") or found.get("RestrictPublicBuckets"))


@step(aws_only="Restore Duration, and how long taking a snapshot takes")
def snapstart(run: Run) -> None:
    """Start from snapshots (only with SNAPSTART=1)."""
    if not run.snapstart:
        raise Skipped("only with SNAPSTART=1")
    run.deploy("up", "--parameter=SnapStart=on")
    run.check(run.urls["SnapStart"] == "on", f"SnapStart is {run.urls['SnapStart']}")
    run.check_answers()
    measure(run, f"{run.runtime}, SnapStart")
    run.deploy("up", "--parameter=SnapStart=off")


@step()
def down(run: Run) -> None:
    """Remove the stack, twice; the tables stay."""
    stack = run.client("cloudformation").describe_stacks(StackName=run.name)["Stacks"][0]
    run.check({"Key": "si-test", "Value": run.name} in stack.get("Tags", []), f"its tags are {stack.get('Tags')}")
    run.deploy("down", "--yes")
    run.check(run.status() is None, f"the stack is {run.status()}")
    run.deploy("down", "--yes")
    objects = run.client("s3").list_objects_v2(Bucket=run.files).get("Contents", [])
    run.check(not objects, f"down leaves {[each['Key'] for each in objects]} in the bucket")
    for name in ("words", "imported", "kim"):
        status = run.client("dynamodb").describe_table(TableName=run.table(name))["Table"]["TableStatus"]
        run.check(status == "ACTIVE", f"after down, table {name} is {status}")


@step()
def again(run: Run) -> None:
    """Deploy again soon after the stack was removed, and remove that."""
    deploy_afresh(run)
    run.deploy("down", "--yes")
