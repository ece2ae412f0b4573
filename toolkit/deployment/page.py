"""The demo page in a bucket that anyone may read, asking a deployed API."""

import html
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config

FILES = Path(__file__).resolve().parents[2] / "demo"
NO_API = '<meta name="api" content="">'  # in the page, where the URL of the API belongs
ANY_API = "connect-src http: https:"  # in its policy, what it may call


def bound_to(content: str, api: str) -> str:
    """Return the page so that it asks `api` alone, whatever its address says: a URL, or more with spaces between."""
    origins = " ".join("{0.scheme}://{0.netloc}".format(urlsplit(each)) for each in api.split())
    content = content.replace(NO_API, NO_API.replace('""', f'"{html.escape(api)}"'))
    return content.replace(ANY_API, f"connect-src {html.escape(origins)}")


def put(client: Any, bucket: str, account: str, api: str) -> None:
    """Write the page to `bucket` of `account`, with `api`, the URLs that the paths of the models follow."""
    for file in sorted(FILES.iterdir(), reverse=True):  # index.html last, when all it needs is there
        client.put_object(
            Bucket=bucket,
            ExpectedBucketOwner=account,
            Key=file.name,
            Body=bound_to(file.read_text(), api).encode(),
            ContentType=f"{mimetypes.guess_type(file.name)[0] or 'text/plain'}; charset=utf-8",  # YAML, to be shown
            CacheControl="no-cache",
            ChecksumAlgorithm="SHA256",
        )


def url(session: boto3.Session, bucket: str) -> str:
    """Return the URL of the page in `bucket`."""
    stranger = session.client("s3", config=Config(signature_version=UNSIGNED, s3={"addressing_style": "virtual"}))
    address: str = stranger.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "index.html"})
    return address


def clear(client: Any, bucket: str, account: str) -> None:
    """Remove every object of `bucket`, so that its stack can be deleted; all versions, if someone made it keep them."""
    where = {"Bucket": bucket, "ExpectedBucketOwner": account}
    for found in client.get_paginator("list_object_versions").paginate(**where):
        for item in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            client.delete_object(Key=item["Key"], VersionId=item["VersionId"], **where)
