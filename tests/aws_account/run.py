"""Deploy to your AWS account for real, step by step as README.md does, check every step, and remove all of it again.

`make test-aws AWS_TEST_ACCOUNT=123456789012` runs it; docs/test-aws.md says what it makes, costs and needs.

Example:
  AWS_TEST_ACCOUNT=123456789012 python -m tests.aws_account.run
  python utils/local_cloud.py -- make test-aws AWS_TEST_ACCOUNT=000000000000 YES=1
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import Any

import boto3

from tests.aws_account import measurements, plan
from tests.aws_account.account import agreed, guarded_account
from tests.aws_account.cleaning import clean, left
from tests.aws_account.journal import Journal, journals, new_run
from tests.aws_account.steps import STEPS, Step, lambda_options
from tests.aws_account.story import REQUESTS, ROOT, Run, Skipped
from toolkit.cli import CommandError, log, parser, run

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEAN = "make test-aws-clean AWS_TEST_ACCOUNT={account}"


class Interrupted(BaseException):
    """Ends a run that was sent a signal."""


def refuse_leftovers(session: boto3.Session, account: str) -> None:
    """Raise CommandError when an earlier run is still at work, or has left anything."""
    found = [f"{thing.kind} {thing.name}" for thing in left(session)]
    for journal in journals(account, session.region_name):
        found.append(f"journal {journal.path}")
        journal.file.close()
    if found:
        raise CommandError(f"of an earlier run there is {', '.join(found)}; {CLEAN.format(account=account)} removes it")


def find_packages(folder: Path, rehearsal: bool) -> dict[str, dict[str, Path]]:
    """Return the packages to deploy, by runtime and model: those in build/, thin ones for the local cloud."""
    if rehearsal:
        zips = {model: folder / f"none/{model}.zip" for model in REQUESTS}
        script = ROOT / "utils/create_deployment_package.sh"
        at_work = [
            subprocess.Popen([script, model, "--runtime", "none", "--output", path]) for model, path in zips.items()
        ]
        if sum(process.wait() for process in at_work):
            raise CommandError("the packages can't be built; the message above says why")
        return {"none": zips}
    found = {}
    for runtime in ("onnx", "torch"):
        zips = {model: ROOT / f"build/{runtime}/{model}.zip" for model in REQUESTS}
        if all(path.exists() for path in zips.values()):
            found[runtime] = zips
        elif runtime == "onnx":
            lines = [f"utils/create_deployment_package.sh {model} --runtime onnx --output {path.relative_to(ROOT)}"
                     for model, path in zips.items()]  # fmt: skip
            raise CommandError(f"no onnx packages in build/onnx; build them: {' && '.join(lines)}")
        else:
            log("no torch packages in build/torch: that step will be skipped")
    for zips in found.values():
        for path in zips.values():
            if "PythonRuntime=python3.11" in lambda_options(path):
                raise CommandError(f"{path} is for Python 3.11, not for Lambda; build it without --python")
    return found


def choose(names: str | None) -> list[Step]:
    """Return the steps called `names`, separated by commas; all of them by default."""
    chosen = names.split(",") if names else [step.name for step in STEPS]
    if unknown := set(chosen) - {step.name for step in STEPS}:
        raise CommandError(f"no step {min(unknown)}; there are {', '.join(step.name for step in STEPS)}")
    return [step for step in STEPS if step.name in chosen]


def tell(story: Run, step: Step, deadline: float) -> dict[str, Any]:
    """Take one step; return what the report says about it."""
    log(f"{step.name}: {step.about}")
    story.facts, story.failures = [], []
    started, outcome, ended_early = time.monotonic(), "passed", False
    try:
        if started > deadline:
            raise CommandError(f"the run has taken more than {plan.MOST_SECONDS / 3600:.0f} hours")
        if step.aws_only and story.rehearsal:
            raise Skipped(f"only AWS can tell: {step.aws_only}")
        step.do(story)
    except Skipped as reason:
        outcome = "skipped"
        story.fact(str(reason))
    except Exception as error:
        ended_early = True
        story.check(False, f"{type(error).__name__}: {error}")
    outcome = "failed" if story.failures else outcome
    seconds = time.monotonic() - started
    log(f"  {outcome} in {seconds:.0f} s")
    return {"name": step.name, "outcome": outcome, "seconds": round(seconds, 1), "ended_early": ended_early,
            "failures": story.failures, "facts": story.facts}  # fmt: skip


def interrupt(number: int, _: FrameType | None) -> None:
    """End the run by an exception, once: what comes after it is the clean-up, which is not to be interrupted."""
    for kind in SIGNALS:
        signal.signal(kind, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def main() -> int:
    """Run the command line; return the exit code: 1 when a check failed or something is left."""
    usage = parser(__doc__)
    usage.add_argument("--yes", action="store_true", help="do not ask")
    usage.add_argument("--steps", metavar="NAMES", help=f"only these: {','.join(step.name for step in STEPS)}")
    usage.add_argument("--output", type=Path, default=ROOT / "build", help="folder of the report (default: build)")
    options = usage.parse_args()
    session = boto3.Session()
    account = guarded_account(session)
    rehearsal = bool(os.environ.get("AWS_ENDPOINT_URL"))
    snapstart = os.environ.get("SNAPSTART") == "1"
    refuse_leftovers(session, account)
    steps = choose(options.steps)
    folder = options.output / "test_aws"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    packages = find_packages(folder, rehearsal)
    name = new_run()
    about = [f"  {each.name}: {each.about}" for each in steps]
    log(plan.text(name, account, session.region_name, snapstart, about))
    if not options.yes and not agreed("go on? [y/N] "):
        raise CommandError("nothing was made")
    journal = Journal.begin(name, account, session.region_name)
    story = Run(name, session, journal, folder, packages, rehearsal, snapstart)
    report: dict[str, Any] = {
        "run": name, "region": session.region_name, "rehearsal": rehearsal, "commit": commit(),
        "started": time.strftime("%FT%TZ", time.gmtime()), "steps": [], "measurements": story.measurements,
    }  # fmt: skip
    signalled = ""
    for kind in SIGNALS:
        signal.signal(kind, interrupt)
    try:
        take(steps, story, report["steps"])
    except Interrupted as error:
        signalled = str(error)
    finally:
        for kind in SIGNALS:
            signal.signal(kind, signal.SIG_IGN)
        measurements.write(report, options.output, account)
        log(f"{signalled} removing everything that the run made; this is not to be interrupted".lstrip())
        try:
            clean(session, journal.made, pause=0.2 if rehearsal else 5.0)
        except BaseException:
            log(f"something may be left; {CLEAN.format(account=account)} removes it")
            raise
        journal.remove()
        log("nothing is left of the run: no stack, function, API, role, policy, table, bucket or log group")
    print(options.output / "test_aws.md")
    failed = [step["name"] for step in report["steps"] if step["outcome"] == "failed"]
    log(f"failed: {', '.join(failed)}" if failed else "no step failed")
    return {"": int(bool(failed)), "SIGINT": 130}.get(signalled, 143)


def take(steps: list[Step], story: Run, report: list[dict[str, Any]]) -> None:
    """Take the steps in order, until one ends early that the rest needs; add what they found to the report."""
    deadline = time.monotonic() + plan.MOST_SECONDS
    for step in steps:
        report.append(tell(story, step, deadline))
        if step.essential and report[-1]["ended_early"]:
            return


def commit() -> str:
    """Return the short name of the commit that is checked out."""
    ran = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, check=False, text=True, capture_output=True
    )
    return ran.stdout.strip() or "unknown"


if __name__ == "__main__":
    run(main)
