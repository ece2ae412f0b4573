"""The commands that the README and the docs print start: with them a reader begins.

Commands of a block are run: on the local cloud, with small files under the names that the docs use, or with credentials
that can't work where a deployment would be changed. What would take minutes is only parsed, by the command's own
parser: `make` (--dry-run), packages (an interpreter that has no library), training, benchmarks, gensim's downloads, the
shell of the local cloud, and commands that the text mentions in passing.

What they say is checked, too: options against --help, the answer in the README against the model's, parameters
against the template.
"""

import gzip
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import numpy as np
import pytest
from botocore import xform_name

import kim_cnn.predict
from tests.conftest import ROOT, Cloud
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import handler, post
from toolkit.deployment import template
from toolkit.vectors.file import load_vectors

DOCS = (
    "README.md", "CONTRIBUTING.md", "docs/deploy.md", "docs/models.md", "docs/own-data.md", "docs/page.md",
    "docs/runbook.md", "docs/training.md", "docs/vectors.md",
)  # fmt: skip
PAGES = sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))
PROGRAM = r"(?:python|make|sam|aws|curl|utils/[^\s`]+)"
RUN = {"generate_vocab.py", "get_most_frequent_words.py", "upload_word_vectors_to_dynamo.py", "word2vec_bin_to_txt.py"}
WRONG = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "none"}
REFUSED = "InvalidClientTokenId"
OF_THE_CLI_ITSELF = {("configure",): set(), ("logs", "tail"): {"since"}}  # docs.aws.amazon.com/cli/latest/reference
OTHERWISE_IN_THE_CLI = {"deploy": "codedeploy", "s3api": "s3"}
INSIGHTS = ("fields", "filter", "stats")  # which queries of CloudWatch Logs Insights begin with
OF_INSIGHTS = {
    "as", "asc", "bin", "by", "d", "desc", "ispresent", "like", "limit", "max", "sort", "sum", "@message", "@timestamp",
}  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]+")
# Commands of others with their options, to the end of the line or of the code in a sentence.
OF_OTHERS = re.compile(r"\b(?:aws|curl|sam|gensim\.downloader)\s(?:[^`\n\\]|\\.|\\\n)*|--create-bucket-configuration")
SUBCOMMANDS = {"deploy.py": ("up", "urls", "rollback", "down"), "batch.py": ("run", "status", "stop", "collect")}
OPTIONS_OF_ANY_CALL = {"output", "profile", "query", "region"}


def blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of each block of code: indented by four spaces after an empty line, or fenced as shell."""
    for fenced in re.findall(r"(?ms)^```(?:sh|bash|console|shell)\n(.*?)^```", text):
        yield fenced.splitlines()
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    for indented in re.findall(r"(?m)^\n((?:^    .*\n)+)", text):
        yield [line[4:] for line in indented.splitlines()]


def printed(text: str) -> list[str]:
    """Return the commands in the blocks of a text; where some have a prompt, the rest of the block is their output."""
    found = []
    for lines in blocks(text):
        prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if not any("►" in line for line in lines):  # a drawing
            found += "\n".join(prompted or lines).replace("\\\n", "").splitlines()
    return [re.sub(r"\s+#\s.*", "", line) for line in found]


def mentioned(text: str) -> list[str]:
    """Return the commands in the sentences and tables of a text; a name alone is none."""
    return [" ".join(code.split()) for code in re.findall(rf"`({PROGRAM}\s[^`]+)`", text)]


TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCS}
PRINTED = list(dict.fromkeys(line for text in TEXTS.values() for line in printed(text)))
MENTIONED = list(dict.fromkeys(line for text in TEXTS.values() for line in mentioned(text)))
MENTIONED = [line for line in MENTIONED if not any(each.startswith(line) for each in PRINTED)]

PARSER = """
import argparse, contextlib, io, json, os, runpy, sys

parse_args = argparse.ArgumentParser.parse_args

def parse_and_stop(self, *arguments):
    parse_args(self, *arguments)
    sys.exit(0)

argparse.ArgumentParser.parse_args = parse_and_stop
said = {}
path = list(sys.path)
for line, words in json.load(sys.stdin).items():
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            sys.argv = words[1:] if words[0] == "-m" else words
            if words[0] == "-m":
                runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                sys.path[:] = [os.path.dirname(os.path.abspath(words[0])), *path]
                runpy.run_path(words[0], run_name="__main__")
            problem = "it has parsed nothing"
        except SystemExit as end:
            problem = output.getvalue() if end.code or "--help" in words else ""
        except BaseException as error:
            problem = repr(error)
    said[line] = problem
json.dump(said, sys.stdout)
"""


def words_of(line: str) -> list[str]:
    """Return the words of a command as the shell hands them over, but for redirections."""
    words = shlex.split(line)
    if words[0].endswith(".py"):  # as a sentence names it
        words.insert(0, "python")
    return words[: next((place for place, word in enumerate(words) if word in (">", ">>", "|")), len(words))]


def only_parsed(line: str) -> bool:
    words = words_of(line)
    return words[0] == "python" and (line in MENTIONED or Path(words[1]).name not in {*RUN, "deploy.py"})


def parse(lines: dict[str, list[str]]) -> dict[str, str]:
    """Return what commands of Python complain about when they parse their words, "" for nothing; of --help, the help.

    One process parses them all.
    """
    ran = subprocess.run(
        [sys.executable, "-c", PARSER], cwd=ROOT, input=json.dumps(lines), text=True, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, str] = json.loads(ran.stdout)
    return said


@pytest.fixture(scope="module")
def parsed() -> dict[str, str]:
    """What the commands of the docs that are only parsed complain about."""
    return parse({line: words_of(line)[1:] for line in [*PRINTED, *MENTIONED] if only_parsed(line)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> Path:
    """A folder laid out as the checkout, with small files under the names that the docs use."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("utils", "toolkit", "data", "template.yaml", "samconfig.toml", "sm_cnn.model", "kim_cnn.model"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "build").mkdir()
    for package in cloud.packages.values():
        shutil.copy(package, folder / "build")
    with gzip.open(ROOT / "data/glove.6B.50d.sample.txt.gz", "rt", encoding="utf-8") as sample:
        vectors = "".join(line for _, line in zip(range(50), sample, strict=False) if line.count(" ") > 1)  # no header
    (folder / "glove.6B.50d.txt").write_text(vectors, encoding="utf-8")
    for name in ("tickets.vectors.txt", "multichannel.txt", "aquaint+wiki.50d.txt"):
        (folder / name).write_text(vectors, encoding="utf-8")
    (folder / "vectors.gz").write_bytes(gzip.compress(vectors.encode()))
    binary = b"2 300\n" + b"".join(word + b" " + np.ones(300, "<f4").tobytes() + b"\n" for word in (b"the", b"good"))
    (folder / "GoogleNews-vectors-negative300.bin.gz").write_bytes(gzip.compress(binary))
    (folder / "aquaint+wiki.txt.gz.ndim=50.bin").write_bytes(binary)
    (folder / "train").mkdir()
    for name in ("reviews.txt.gz", "questions.txt", "train/a.toks", "train/b.toks.gz"):
        content = b"the good , the bad\n"
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (folder / "vocabulary.txt").write_text("the\n")
    (folder / "tickets.csv").write_text("text,label\nthe good,up\nthe bad,down\n")
    (folder / "tickets.model").symlink_to(ROOT / "kim_cnn.model")
    (folder / "qa.jsonl").write_text('{"question": "the good ?", "answer": "the bad"}\n')
    (folder / "unigram_freq.csv").write_text("word,count\nthe,2\nof,1\n")
    return folder


def start(line: str, folder: Path, cloud: Cloud, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell in the folder, with the local cloud for AWS, in a region of its own."""
    own = {"AWS_DEFAULT_REGION": "eu-west-1", "XDG_STATE_HOME": str(folder), "vectors": str(folder / "vectors.gz")}
    environment = {**cloud.environment, **own, **environment}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, text=True, capture_output=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def check_call_of_aws(words: list[str]) -> None:
    """Check an operation and its options against what botocore knows, as the AWS CLI does; it need not be here."""
    options = {word[2:] for word in words if word.startswith("--")} - OPTIONS_OF_ANY_CALL
    known = OF_THE_CLI_ITSELF.get(tuple(words[:2]))
    if known is None:
        service, operation = OTHERWISE_IN_THE_CLI.get(words[0], words[0]), words[1]
        model = botocore.session.get_session().get_service_model(service)
        calls = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in calls, f"aws {service} has no {operation}"
        shape = model.operation_model(calls[operation]).input_shape
        known = {xform_name(name, "-") for name in shape.members}
        flags = [name for name, member in shape.members.items() if member.type_name == "boolean"]
        known |= {f"no-{xform_name(name, '-')}" for name in flags}
        assert {xform_name(name, "-") for name in shape.required_members} <= options
    assert options <= known


def test_the_queries_of_the_docs_ask_for_fields_that_the_logs_have() -> None:
    """The emulator of CloudWatch Logs Insights filters, and knows no `stats`: only AWS can tell the rest."""
    line = next(line for line in TEXTS["docs/deploy.md"].splitlines() if line.startswith('    {"request"'))
    access = re.findall(r'"(\w+)": "\$context', (ROOT / "template.yaml").read_text(encoding="utf-8"))
    queries = [line for line in PRINTED if line.startswith(INSIGHTS)]
    queries += [words_of(line)[-1] for line in PRINTED if "--query-string" in line]
    assert len(queries) == 6
    for query in queries:
        names = set(re.findall(r"@?[a-z_]+", re.sub(r'"[^"]*"|/[^/]+/', "", query)))
        own = {*re.findall(r" as (\w+)", query), *OF_INSIGHTS, *INSIGHTS, *json.loads(line), *access}
        assert names <= own, names - own


@pytest.mark.parametrize("line", [line for line in [*PRINTED, *MENTIONED] if not line.startswith(INSIGHTS)])
def test_a_command_of_the_docs_starts(line: str, folder: Path, cloud: Cloud, parsed: dict[str, str]) -> None:
    words = words_of(line)
    if only_parsed(line):
        assert parsed[line] == ""
    elif words[0] == "make":
        ran = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, text=True, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
    elif words[0] == "aws":
        check_call_of_aws(words[1:])
    elif words[0] == "sam" and line in MENTIONED:
        assert start(f"{line} --help", folder, cloud).returncode == 0
    elif words[0] == "sam" or words[:2] == ["python", "utils/deploy.py"]:
        ran = start(line, folder, cloud, **WRONG)
        assert ran.returncode == 1
        assert REFUSED in ran.stdout + ran.stderr or ("down" in words and "say --yes" in ran.stderr), ran.stderr
    elif words[0] == "utils/create_deployment_package.sh":
        ran = start(line, folder, cloud, PYTHON="/bin/false")
        assert "/bin/false lacks libraries of requirements-dev.txt" in ran.stderr, ran.stderr
    else:
        known = words[0] in ("curl", "source") or re.fullmatch(r"\w+=\S+", line)
        assert known or Path(words[1]).name in RUN, f"this test does not know how to try {line!r}"
        bucket = words[words.index("--via-s3") + 1] if "--via-s3" in words else None
        region = "eu-central-1" if bucket else "eu-west-1"  # an import makes its table
        if bucket:
            boto3.client("s3", endpoint_url=cloud.environment["AWS_ENDPOINT_URL"], region_name=region).create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
            )
        health = f"{cloud.environment['AWS_ENDPOINT_URL']}/_ministack/health"
        ran = start(re.sub(r"https?://\S+|\"\$URL\S*\"", health, line), folder, cloud, AWS_DEFAULT_REGION=region)
        assert ran.returncode == 0, ran.stderr


def test_commands_are_found_wherever_they_stand() -> None:
    text = "Do\n\n    $ make a\n    said\n\nor `make b` (`make`)\n\n```sh\nmake c --d \\\n  e\n```\n\n- list\n    x\n"
    assert printed(text) == ["make c --d   e", "make a"]
    assert mentioned(text) == ["make b"]
    assert len(PRINTED) > 20


@pytest.fixture(scope="module")
def options() -> set[str]:
    """Every option that a --help of the project names."""
    scripts = [*(ROOT / "utils").glob("[!_]*.py"), *(ROOT / "bench").glob("*.py")]
    lines = {}
    for script in scripts:
        if ".parse_args(" in script.read_text(encoding="utf-8"):
            for words in ((), *((name,) for name in SUBCOMMANDS.get(script.name, ()))):
                lines[f"{script.name} {words}"] = [str(script), *words, "--help"]
    for module in ("kim_cnn.train", "kim_cnn.evaluate", "sm_cnn.train", "sm_cnn.evaluate"):
        lines[module] = ["-m", module, "--help"]
    package = ["utils/create_deployment_package.sh", "--help"]
    helps = [*parse(lines).values(), subprocess.check_output(package, cwd=ROOT, text=True)]
    assert all("usage: " in text for text in helps)
    return {option for text in helps for option in OPTION.findall(text)}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES])
def test_every_option_in_the_docs_is_in_a_help(name: str, options: set[str]) -> None:
    text = OF_OTHERS.sub("", (ROOT / name).read_text(encoding="utf-8"))
    assert set(OPTION.findall(text)) <= options


def test_the_parameters_in_the_readme_are_those_of_the_template_with_their_defaults() -> None:
    defaults = {name: str(each.get("Default", "")) for name, each in template.read()["Parameters"].items()}
    rows = re.findall(r"(?m)^\|( `[A-Z]\w+`[^|]*)\|([^|]*)\|", TEXTS["README.md"])
    assert len(rows) > 15
    for names, shown in rows:
        named = re.findall(r"`(\w+)`", names)
        assert set(named) <= defaults.keys()
        if shown.strip():
            known = list(dict.fromkeys(default for name in named if (default := defaults[name])))
            assert [each.strip(" `") for each in shown.split(",")] == known, names


def test_the_answer_in_the_readme_is_what_the_model_answers() -> None:
    """But for the last digits of numbers, and what is left out at the end."""
    shown = re.search(r"(?ms)^    (\{\n.*?\n)        …\n    \}$", TEXTS["README.md"])
    assert shown
    answer = json.loads(shown[1].rstrip().rstrip(",") + "}")
    vectors = load_vectors(ROOT / "data/kim_cnn.vectors.txt.gz", answer["input"].split())
    known = FakeDynamoDB(lambda word: {"B": vectors[word].tobytes()} if word in vectors else None)
    status, now = post(handler(kim_cnn.predict, known), input=answer["input"])
    assert status == 200
    assert list(answer) == list(now)[: len(answer)]
    assert list(answer["probabilities"]) == list(now["probabilities"])
    assert answer.pop("probabilities") == pytest.approx(now["probabilities"], abs=1e-5)
    assert answer == {name: now[name] for name in answer}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_within_the_docs_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target, anchor in re.findall(
        r"\]\((?!https?:|mailto:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")
    ):
        file = (page.parent / target) if target else page
        assert file.exists(), f"{name}: {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{name}: {target}#{anchor}"
