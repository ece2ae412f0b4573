"""Bulk import: items to S3, DynamoDB's import, what is left behind."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from tests.aws_strict.call import Answer, Call, error
from toolkit.cli import CommandError
from toolkit.vectors import bulk_import
from toolkit.vectors.bulk_import import Sources
from toolkit.vectors.file import VectorFile, read_vectors
from toolkit.vectors.guards import Guards
from toolkit.vectors.selection import Selection

ROOT = Path(__file__).parents[3]
UPLOAD = ROOT / "utils/upload_word_vectors_to_dynamo.py"
SAMPLE = ROOT / "data/glove.6B.50d.sample.txt.gz"

OWNER = "123456789012"  # moto's account

GUARDS = Guards()

Write = Callable[..., Path]


@pytest.mark.parametrize("format", ["float32", "list"])
def test_an_import_fills_a_new_table_though_a_look_at_it_is_throttled(cloud: Any, tmp_path: Path, format: str) -> None:
    throttled: list[Call] = []

    def throttle_once(call: Call, *_: Any) -> Answer | None:
        if call.operation != "DescribeImport" or throttled:
            return None
        throttled.append(call)
        return error(call, 400, "ThrottlingException", "Rate exceeded")

    bucket, table = f"vectors-{format}", f"imported-{format}"
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=bucket)
    words = tmp_path / "words.txt"
    words.write_text("\n".join(word for word, _ in list(read_vectors(SAMPLE))[::20]))
    guards = ["--max-read-units", "700", "--point-in-time-recovery", "--tag", "team=search"]
    to_import = [SAMPLE, table, "--via-s3", bucket, "--wordlist", words, "--format", format]
    with cloud.aws.also(throttle_once):
        ran = cloud.run(UPLOAD, *to_import, "--verify", *guards)
    assert throttled
    assert f"505 words imported into {table}" in ran.stdout
    assert f"505 words in table {table} are as in" in ran.stdout
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    dynamodb = cloud.client("dynamodb")
    description = dynamodb.describe_table(TableName=table)["Table"]
    assert description["OnDemandThroughput"]["MaxReadRequestUnits"] == 700
    assert description["DeletionProtectionEnabled"]
    tags = dynamodb.list_tags_of_resource(ResourceArn=description["TableArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "search"}]
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_bucket_of_another_account_gets_no_vectors(cloud: Any, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("good\n")
    cloud.client("s3").create_bucket(Bucket="strangers-bucket")  # whose owner tests/aws_strict says is another
    arguments = [SAMPLE, "never-made", "--via-s3", "strangers-bucket", "--wordlist", tmp_path / "words.txt"]
    ran = cloud.run(UPLOAD, *arguments, check=False)
    assert ran.returncode == 1
    assert "AccessDenied" in ran.stderr and ran.stderr.count("\n") == 1
    assert "Contents" not in cloud.client("s3").list_objects_v2(Bucket="strangers-bucket")


def test_a_missing_bucket_is_named_and_makes_no_table(cloud: Any) -> None:
    ran = cloud.run(UPLOAD, SAMPLE, "never-made", "--via-s3", "no-such-bucket", check=False)
    assert ran.returncode == 1
    assert "bucket" in ran.stderr
    assert "never-made" not in cloud.client("dynamodb").list_tables()["TableNames"]


def test_items_are_spread_over_objects(monkeypatch: pytest.MonkeyPatch, vector_file: Write) -> None:
    class Bucket(Sources):
        """Takes objects; nothing else is asked of it."""

        objects: ClassVar[dict[str, bytes]] = {}

        def add(self, bucket: str, key: str, file: Any) -> None:
            self.objects[key] = gzip.decompress(file.read())

    monkeypatch.setattr(bulk_import, "OBJECT_BYTES", 1000)
    selection = Selection(VectorFile(vector_file(*(f"word{number} {number} 1" for number in range(100)))), "float32")
    selection.survey(quiet=True)
    bucket = Bucket(None, OWNER)
    bulk_import.send(bucket, "bucket", "prefix/", selection, quiet=True)
    assert len(bucket.objects) > 3
    assert all(len(lines) < 1100 for lines in bucket.objects.values())
    items = [json.loads(line)["Item"] for key in sorted(bucket.objects) for line in bucket.objects[key].splitlines()]
    assert [item["word"]["S"] for item in items] == [f"word{number}" for number in range(100)]


class ImportingDynamoDB:
    """A client whose table imports end as the test says; the emulators have none that fails on the way."""

    def __init__(self, client: Any, *states: dict[str, Any]):
        self.client, self.states = client, list(states)
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def describe_import(self, **_: Any) -> Any:
        return {"ImportTableDescription": self.states.pop(0)}


def test_a_failed_import_says_why_and_leaves_no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_import, "POLL_INTERVAL", 0)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="prefix/00000.json.gz", Body=b"")
        state = {
            "TableArn": "arn:aws:dynamodb:us-east-1:0:table/words",
            "S3BucketSource": {"S3Bucket": "bucket", "S3KeyPrefix": "prefix/"},
        }
        failure = {"ImportStatus": "FAILED", "FailureCode": "Bad", "FailureMessage": "no", "ErrorCount": 2}
        client = ImportingDynamoDB(
            boto3.client("dynamodb"),
            {**state, "ImportStatus": "IN_PROGRESS", "ImportedItemCount": 1},
            {**state, **failure},
        )
        with pytest.raises(CommandError, match=r"into words is FAILED: Bad, no \(2 errors"):
            bulk_import.wait_for_import(client, Sources(s3, OWNER), "arn", 5, quiet=True)
        assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


@pytest.mark.parametrize("ended", [False, True])
def test_an_import_that_was_left_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, vector_file: Write, ended: bool
) -> None:
    def summary(arn: str, status: str, prefix: str) -> dict[str, Any]:
        source = {"S3Bucket": "bucket", "S3KeyPrefix": prefix}
        return {"ImportStatus": status, "ImportArn": arn, "S3BucketSource": source}

    class Importing:
        exceptions = boto3.client("dynamodb").exceptions

        def describe_table(self, **_: Any) -> Any:
            return {"Table": {"TableStatus": "ACTIVE" if ended else "CREATING", "TableArn": "table-arn"}}

        def list_imports(self, TableArn: str, NextToken: str = "") -> Any:  # noqa: N803
            old = [summary("old", "FAILED", "word-vectors-words-1/"), summary("others", "COMPLETED", "theirs/")]
            new = [summary("new", "COMPLETED" if ended else "IN_PROGRESS", "word-vectors-words-2/")]
            return {"ImportSummaryList": new} if NextToken else {"ImportSummaryList": old, "NextToken": "more"}

    def wait(client: Any, sources: Any, arn: str, words: int, quiet: bool) -> dict[str, Any]:
        assert arn == "new"
        source = {"S3Bucket": "bucket", "S3KeyPrefix": "word-vectors-words-2/"}
        return {"TableArn": "table-arn", "ImportedItemCount": words, "S3BucketSource": source}

    guarded = []

    monkeypatch.setattr(bulk_import, "wait_for_import", wait)
    monkeypatch.setattr(bulk_import, "guard_imported", lambda client, *what: guarded.append(what))
    selection = Selection(VectorFile(vector_file("a 1 2")), "float32")
    selection.survey(quiet=True)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        for name in ("word-vectors-words-2/00000.json.gz", "theirs/00000.json.gz"):
            s3.put_object(Bucket="bucket", Key=name, Body=b"")
        sources = Sources(s3, OWNER)
        assert bulk_import.import_words(Importing(), sources, "words", selection, "bucket", GUARDS, quiet=True) == 1
        assert guarded == [("words", "table-arn", GUARDS)]
        assert [each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]] == ["theirs/00000.json.gz"]


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (KeyboardInterrupt(), True),
        (ReadTimeoutError(endpoint_url="https://dynamodb"), True),
        (ClientError({"Error": {"Code": "LimitExceededException"}}, "ImportTable"), False),
    ],
)
def test_the_source_stays_when_the_import_may_have_begun(
    vector_file: Write, capsys: pytest.CaptureFixture[str], error: BaseException, kept: bool
) -> None:
    class Starting:
        exceptions = boto3.client("dynamodb").exceptions

        def describe_table(self, **_: Any) -> Any:
            raise self.exceptions.ResourceNotFoundException({}, "DescribeTable")

        def import_table(self, **_: Any) -> Any:
            raise error

    selection = Selection(VectorFile(vector_file("a 1 2")), "float32")
    selection.survey(quiet=True)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        with pytest.raises(type(error)):
            bulk_import.import_words(Starting(), Sources(s3, OWNER), "words", selection, "bucket", GUARDS, quiet=True)
        found = s3.list_objects_v2(Bucket="bucket").get("Contents", [])
    assert bool(found) is kept
    assert ("the same command waits for it and deletes s3://bucket/" in capsys.readouterr().err) is kept


def test_leaving_an_import_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, vector_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk_import, "_open_import", lambda *_: "arn")
    monkeypatch.setattr(bulk_import, "wait_for_import", wait)
    selection = Selection(VectorFile(vector_file("a 1 2")), "float32")
    with pytest.raises(KeyboardInterrupt):
        bulk_import.import_words(None, Sources(None, OWNER), "words", selection, "bucket", GUARDS, quiet=True)
    assert "the same command waits for it" in capsys.readouterr().err


def test_an_import_refuses_a_table_that_exists(dynamodb: Any, vector_file: Write) -> None:
    class NeverImported:  # moto has no ListImports
        exceptions, describe_table = dynamodb.exceptions, dynamodb.describe_table

        def list_imports(self, **_: Any) -> Any:
            return {"ImportSummaryList": []}

    selection = Selection(VectorFile(vector_file("a 1 2")), "float32")
    with pytest.raises(CommandError, match="table words exists"):
        bulk_import.import_words(
            NeverImported(), Sources(None, OWNER), "words", selection, "bucket", GUARDS, quiet=True
        )
