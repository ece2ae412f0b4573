"""Bulk import: items as gzipped DynamoDB JSON to S3, then DynamoDB's own ImportTable into a new table."""

import base64
import gzip
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tqdm import tqdm

from inference.item_format import item
from toolkit.cli import CommandError, log
from toolkit.vectors import table as vector_table
from toolkit.vectors.guards import Guards, guard_imported
from toolkit.vectors.selection import Selection

OBJECT_BYTES = 256 << 20  # of an object before compression; DynamoDB reads several at once
POLL_INTERVAL = 2.0  # seconds


@dataclass(frozen=True)
class Sources:
    """The objects that imports read, in buckets of account `owner`: S3 refuses a call for another's bucket."""

    s3: Any
    owner: str

    def add(self, bucket: str, key: str, file: IO[bytes]) -> None:
        """Send an object; boto3's transfer retries, and sends a large one in parts."""
        self.s3.upload_fileobj(
            file, bucket, key, ExtraArgs={"ExpectedBucketOwner": self.owner, "ChecksumAlgorithm": "SHA256"}
        )

    def exist(self, bucket: str, prefix: str) -> bool:
        """Return whether there is an object under `prefix`."""
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1, ExpectedBucketOwner=self.owner)
        return "Contents" in found

    def delete(self, bucket: str, prefix: str) -> None:
        """Delete the objects under `prefix`."""
        where = {"Bucket": bucket, "ExpectedBucketOwner": self.owner}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Prefix=prefix, **where):
            if keys := [{"Key": each["Key"]} for each in page.get("Contents", [])]:
                self.s3.delete_objects(Delete={"Objects": keys}, **where)


def own_sources() -> Sources:
    """Return the sources in buckets of the account that the credentials are for."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    s3 = boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 10}))
    return Sources(s3, account)


def import_words(
    client: Any, sources: Sources, table: str, selection: Selection, bucket: str, guards: Guards, quiet: bool
) -> int:
    """Import the words of `selection` into the new `table` through `bucket`; return how many.

    An import into `table` that this end stopped waiting for is waited for instead: it goes on in AWS.
    Raises CommandError when the table exists, and when the import fails, with DynamoDB's reason.
    """
    arn = _open_import(client, sources, table)
    if arn is None:
        prefix = f"{_prefix(table)}{time.time_ns()}/"
        try:
            send(sources, bucket, prefix, selection, quiet)
        except BaseException:
            sources.delete(bucket, prefix)
            raise
        try:
            arn = _start(client, table, bucket, sources.owner, prefix, guards)
        except ClientError:  # DynamoDB has refused
            sources.delete(bucket, prefix)
            raise
        except BaseException:
            log(
                f"the import may have begun; if so, the same command waits for it and deletes s3://{bucket}/{prefix}."
                f" If there is no table {table} in a minute, delete that yourself"
            )
            raise
    try:
        state = wait_for_import(client, sources, arn, selection.words, quiet)
        guard_imported(client, table, state["TableArn"], guards)
        _delete_source(sources, state)  # last: while it is there, the same command takes up what is left to do
        return int(state["ImportedItemCount"])
    except KeyboardInterrupt:
        log("stopping; the import goes on in AWS, and the same command waits for it")
        raise


def import_line(word: str, attribute: dict[str, Any]) -> bytes:
    """Return an item as a line of an import's source."""
    if "B" in attribute:
        attribute = {"B": base64.b64encode(attribute["B"]).decode()}
    return json.dumps({"Item": item(word, attribute)}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _prefix(table: str) -> str:
    """Return what the names of all sources of imports into `table` begin with."""
    return f"word-vectors-{table}-"


def _open_import(client: Any, sources: Sources, table: str) -> str | None:
    """Return the ARN of the import into `table` that is under way, or has ended and its source is still there.

    None when there is no such table; raises CommandError when the table exists and has no such import.
    """
    try:
        description = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None
    for page in _pages(client.list_imports, TableArn=description["TableArn"]):
        for summary in page.get("ImportSummaryList", []):
            if summary["ImportStatus"] == "IN_PROGRESS" or _has_source(sources, table, summary):
                return str(summary["ImportArn"])
    raise CommandError(f"table {table} exists, and an import makes a new one; leave out --via-s3")


def _has_source(sources: Sources, table: str, summary: dict[str, Any]) -> bool:
    source = summary["S3BucketSource"]
    bucket, prefix = source["S3Bucket"], source.get("S3KeyPrefix", "")
    return prefix.startswith(_prefix(table)) and sources.exist(bucket, prefix)


def _pages(call: Any, **request: Any) -> Iterator[dict[str, Any]]:
    while True:
        page = call(**request)
        yield page
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def send(sources: Sources, bucket: str, prefix: str, selection: Selection, quiet: bool) -> None:
    """Write the items to objects of OBJECT_BYTES each, through a temporary file: memory stays flat."""
    items = selection.items()
    bar = tqdm(total=selection.words, desc="to S3", unit=" words", disable=quiet or None)
    done, number = False, 0
    with bar:
        while not done:
            with tempfile.TemporaryFile() as file:
                size = 0
                with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as compressed:
                    for word, attribute in items:
                        line = import_line(word, attribute)
                        compressed.write(line)
                        size += len(line)
                        bar.update()
                        if size >= OBJECT_BYTES:
                            break
                    else:
                        done = True
                if size:
                    file.seek(0)
                    sources.add(bucket, f"{prefix}{number:05}.json.gz", file)
                    number += 1
    if not number:
        raise CommandError("there is no word to import")


def _start(client: Any, table: str, bucket: str, owner: str, prefix: str, guards: Guards) -> str:
    answer = client.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3BucketOwner": owner, "S3KeyPrefix": prefix},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": table, **vector_table.TABLE, **guards.throughput_and_key()},
    )
    return str(answer["ImportTableDescription"]["ImportArn"])


def wait_for_import(client: Any, sources: Sources, arn: str, words: int, quiet: bool) -> dict[str, Any]:
    """Wait for an import's end; return its description. If it failed, delete its source and raise CommandError."""
    with tqdm(total=words, desc="importing", unit=" words", disable=quiet or None) as bar:
        while True:
            state: dict[str, Any] = client.describe_import(ImportArn=arn)["ImportTableDescription"]
            bar.update(state.get("ImportedItemCount", 0) - bar.n)
            if state["ImportStatus"] not in ("IN_PROGRESS", "CANCELLING"):
                break
            time.sleep(POLL_INTERVAL)
    if state["ImportStatus"] != "COMPLETED":
        _delete_source(sources, state)
        raise CommandError(
            f"the import into {state['TableArn'].rpartition('/')[2]} is {state['ImportStatus']}:"
            f" {state.get('FailureCode')}, {state.get('FailureMessage')} ({state.get('ErrorCount', 0):,} errors,"
            " see its CloudWatch log); delete the table before another try"
        )
    return state


def _delete_source(sources: Sources, state: Mapping[str, Any]) -> None:
    source = state["S3BucketSource"]
    sources.delete(source["S3Bucket"], source["S3KeyPrefix"])
