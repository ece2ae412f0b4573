"""Upload word vectors to the DynamoDB table that the handlers read.

    python utils/upload_word_vectors_to_dynamo.py glove.840B.300d.txt word-vectors --create-table --wordlist words.txt

Reads word2vec text and binary and GloVe text, gzipped or not.
"""

import argparse
import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from tqdm import tqdm

from inference.word_vectors import BACKOFF_BASE, FORMATS, TRANSIENT_ERRORS, encode_vector
from utils.script import ScriptError, read_wordlist, run
from utils.vector_file import read_vectors

BATCH_ITEMS = 25  # most items BatchWriteItem takes
BACKOFF_CAP = 20.0  # seconds
WRITERS = 8


def create_table(client: Any, table: str) -> None:
    """Create `table`, on demand, unless it exists; wait until it is active; refuse one whose key is not `word`."""
    try:
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "word", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "word", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:
        pass
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 300})


def check_table(client: Any, table: str) -> None:
    """Refuse a table that does not exist or whose key is not `word`, a string."""
    try:
        description = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        raise ScriptError(f"no table {table}; create it with --create-table") from None
    if description["KeySchema"] != [{"AttributeName": "word", "KeyType": "HASH"}]:
        raise ScriptError(f"table {table} has another key than `word`; take another table")


def write_batch(client: Any, table: str, requests: list[dict[str, Any]]) -> None:
    """Write up to BATCH_ITEMS put requests, however many tries it takes."""
    for attempt in itertools.count():
        try:
            answer = client.batch_write_item(RequestItems={table: requests})
        except ClientError as error:
            if error.response["Error"]["Code"] not in TRANSIENT_ERRORS:
                raise
        except HTTPClientError:
            if attempt > 10:
                raise
        else:
            requests = answer.get("UnprocessedItems", {}).get(table, [])
            if not requests:
                return
        time.sleep(random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 10))))  # noqa: S311


def items(path: Path, wanted: set[str] | None, format: str) -> Iterator[dict[str, Any]]:
    """Yield a put request for each word of a vector file, the first of duplicates, only those `wanted`."""
    seen = set()
    for word, vector in read_vectors(path):
        if word not in seen and (wanted is None or word in wanted):
            seen.add(word)
            yield {"PutRequest": {"Item": {"word": {"S": word}, "vector": encode_vector(vector, format)}}}


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vectors", type=Path, metavar="VECTORS")
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument(
        "--wordlist", "--word_list", type=Path, metavar="FILE", help="upload only these words"
    )
    parser.add_argument(
        "--create-table", action="store_true", help="create the table, on demand, if there is none"
    )
    parser.add_argument("--format", choices=FORMATS, default="float32", help="default: float32")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    client = boto3.client(
        "dynamodb",
        config=Config(
            parameter_validation=False, retries={"total_max_attempts": 1}, max_pool_connections=WRITERS
        ),
    )
    wanted = read_wordlist(arguments.wordlist) if arguments.wordlist else None
    requests = items(arguments.vectors, wanted, arguments.format)
    first = next(requests, None)  # a file of another kind is refused here
    if arguments.create_table:
        create_table(client, arguments.table)
    check_table(client, arguments.table)
    requests = itertools.chain([first] if first else [], requests)
    progress = tqdm(unit=" words", disable=True if arguments.quiet else None)
    slots = threading.Semaphore(2 * WRITERS)
    pending: set[Any] = set()
    written = 0
    with progress, ThreadPoolExecutor(WRITERS) as pool:
        while batch := list(itertools.islice(requests, BATCH_ITEMS)):
            slots.acquire()
            future = pool.submit(write_batch, client, arguments.table, batch)
            future.add_done_callback(lambda _: slots.release())
            pending.add(future)
            for done in [future for future in pending if future.done()]:
                pending.remove(done)
                done.result()
            written += len(batch)
            progress.update(len(batch))
        for future in pending:
            future.result()
    print(f"{written:,} words written to {arguments.table}", file=sys.stderr)
    if wanted is not None:
        print(
            f"{len(wanted) - written:,} of {len(wanted):,} words of {arguments.wordlist} have no vector",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    run(main)
