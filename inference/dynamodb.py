"""The DynamoDB client, and the one loop that retries a batch until all of it is read or written."""

import binascii
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ChecksumError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

CONNECT_TIMEOUT, READ_TIMEOUT = 1.0, 2.0  # seconds a read waits for a connection, and for each part of an answer
PARALLEL_READS = 8
BACKOFF_BASE, BACKOFF_CAP = 0.05, 1.0  # seconds

# Errors that pass. The rest (no table, no permission, …) is raised as it comes.
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
TRANSIENT_ERRORS = frozenset(
    "InternalServerError ItemCollectionSizeLimitExceededException LimitExceededException "
    "ProvisionedThroughputExceededException RequestLimitExceeded RequestTimeout RequestTimeoutException "
    "ServiceUnavailable SlowDown ThrottledException Throttling ThrottlingException TooManyRequestsException".split()
)
# Not reached, cut off, or answered with something other than DynamoDB's JSON.
CONNECTION_ERRORS = (HTTPClientError, NoConnectionError, ChecksumError, ResponseParserError, binascii.Error)
# They pass with a client that reads its credentials anew, or signs again once the clock is right.
STALE_CREDENTIALS = frozenset(
    "ExpiredToken ExpiredTokenException InvalidClientTokenId InvalidSignatureException RequestExpired "
    "UnrecognizedClientException".split()
)

Work = TypeVar("Work")


class UnavailableError(Exception):
    """Throttled, cut off or not answered until the deadline; a later try may succeed."""


class RefusedError(Exception):
    """What no other try changes: no table, no permission, no credentials."""


def read_client() -> Any:
    """Return the client for reads in a request: short timeouts, and no retries of its own, as `complete` retries.

    Region, credentials and endpoint come from the environment, as for every AWS tool.
    """
    return boto3.Session().client(  # not the default session, whose credentials a SnapStart snapshot would keep
        "dynamodb",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=PARALLEL_READS,
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
        ),
    )


def complete(
    call: Callable[[list[Work]], list[Work]],
    work: list[Work],
    deadline: float,
    extension: float = 0.0,
    on_stale_credentials: Callable[[], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Call `call(work)`, then `call` with the work each call left undone, until none is left.

    `call` makes one batch request and returns what is unprocessed. Between tries `complete` waits with full jitter
    (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015). `deadline`, in seconds of `time.monotonic()`, is
    moved to `extension` seconds from now whenever some work was done. `on_stale_credentials` is called once, and the
    call tried again, when the credentials have run out. Raises UnavailableError at the deadline, RefusedError for an
    error that no other try changes.
    """
    attempt, tries = 0, 0
    while True:
        left = work
        try:
            left = call(work)
            cause = "unprocessed"
        except ClientError as error:
            cause = error.response["Error"]["Code"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if cause in STALE_CREDENTIALS and on_stale_credentials:
                on_stale_credentials()
                on_stale_credentials = None
            elif cause not in TRANSIENT_ERRORS and status != 429 and status < 500:
                raise RefusedError(str(error)) from error
        except CONNECTION_ERRORS as error:
            cause = type(error).__name__
        except BotoCoreError as error:
            raise RefusedError(str(error)) from error
        if not left:
            return
        tries += 1
        if len(left) < len(work) and extension:
            attempt, deadline = 0, time.monotonic() + extension
        work = left
        pause = random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 10)))  # noqa: S311
        attempt += 1
        if time.monotonic() + pause >= deadline:
            raise UnavailableError(f"{len(left)} left after {tries} tries, the last: {cause}")
        sleep(pause)
