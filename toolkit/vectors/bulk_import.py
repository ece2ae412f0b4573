"""Bulk import: items as gzipped DynamoDB JSON to S3, then DynamoDB's own ImportTable into a new table."""

import base64
import gzip
import json
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tqdm import tqdm

from inference.item_format import item
from toolkit.cli import CommandError, log
from toolkit.vectors import table as vector_table
from toolkit.vectors.selection import Selection

OBJECT_BYTES = 256 << 20  # of an object before compression; DynamoDB reads several at once
POLL_INTERVAL = 2.0  # seconds


def s3_client() -> Any:
    """Return the client for S3; boto3's transfer retries and sends large objects in parts."""
    return boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 10}))


def import_words(client: Any, s3: Any, table: str, selection: Selection, bucket: str, quiet: bool) -> int:
    """Import the words of `selection` into the new `table` through `bucket`; return how many.

    An import into `table` that this end stopped waiting for is waited for instead: it goes on in AWS.
    Raises CommandError when the table exists, and when the import fails, with DynamoDB's reason.
    """
    arn = _open_import(client, s3, table)
    if arn is None:
        prefix = f"{_prefix(table)}{time.time_ns()}/"
        try:
            send(s3, bucket, prefix, selection, quiet)
        except BaseException:
            _delete(s3, bucket, prefix)
            raise
        try:
            arn = _start(client, table, bucket, prefix)
        except ClientError:  # DynamoDB has refused
            _delete(s3, bucket, prefix)
            raise
        except BaseException:
            log(
                f"the import may have begun; if so, the same command waits for it and deletes s3://{bucket}/{prefix}."
                f" If there is no table {table} in a minute, delete that yourself"
            )
            raise
    try:
        return wait_for_import(client, s3, arn, selection.words, quiet)
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


def _open_import(client: Any, s3: Any, table: str) -> str | None:
    """Return the ARN of the import into `table` that is under way, or has ended and its source is still there.

    None when there is no such table; raises CommandError when the table exists and has no such import.
    """
    try:
        description = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None
    for page in _pages(client.list_imports, TableArn=description["TableArn"]):
        for summary in page.get("ImportSummaryList", []):
            if summary["ImportStatus"] == "IN_PROGRESS" or _has_source(s3, table, summary):
                return str(summary["ImportArn"])
    raise CommandError(f"table {table} exists, and an import makes a new one; leave out --via-s3")


def _has_source(s3: Any, table: str, summary: dict[str, Any]) -> bool:
    source = summary["S3BucketSource"]
    bucket, prefix = source["S3Bucket"], source.get("S3KeyPrefix", "")
    return prefix.startswith(_prefix(table)) and "Contents" in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)


def _pages(call: Any, **request: Any) -> Iterator[dict[str, Any]]:
    while True:
        page = call(**request)
        yield page
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def send(s3: Any, bucket: str, prefix: str, selection: Selection, quiet: bool) -> None:
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
                    s3.upload_fileobj(file, bucket, f"{prefix}{number:05}.json.gz")
                    number += 1
    if not number:
        raise CommandError("there is no word to import")


def _start(client: Any, table: str, bucket: str, prefix: str) -> str:
    answer = client.import_table(
        S3BucketSource={"S3Bucket": bucket, "S3KeyPrefix": prefix},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": table, **vector_table.TABLE},
    )
    return str(answer["ImportTableDescription"]["ImportArn"])


def wait_for_import(client: Any, s3: Any, arn: str, words: int, quiet: bool) -> int:
    """Wait for an import's end, delete its source, return how many words it imported."""
    with tqdm(total=words, desc="importing", unit=" words", disable=quiet or None) as bar:
        while True:
            state = client.describe_import(ImportArn=arn)["ImportTableDescription"]
            bar.update(state.get("ImportedItemCount", 0) - bar.n)
            if state["ImportStatus"] not in ("IN_PROGRESS", "CANCELLING"):
                break
            time.sleep(POLL_INTERVAL)
    source = state["S3BucketSource"]
    _delete(s3, source["S3Bucket"], source["S3KeyPrefix"])
    if state["ImportStatus"] != "COMPLETED":
        raise CommandError(
            f"the import into {state['TableArn'].rpartition('/')[2]} is {state['ImportStatus']}:"
            f" {state.get('FailureCode')}, {state.get('FailureMessage')} ({state.get('ErrorCount', 0):,} errors,"
            " see its CloudWatch log); delete the table before another try"
        )
    return int(state["ImportedItemCount"])


def _delete(s3: Any, bucket: str, prefix: str) -> None:
    """Delete the objects under `prefix`."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        if keys := [{"Key": each["Key"]} for each in page.get("Contents", [])]:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
