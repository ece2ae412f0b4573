"""The demo page in a bucket that anyone may read, asking a deployed API."""

import html
import mimetypes
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

FILES = Path(__file__).resolve().parents[2] / "demo"
NO_API = '<meta name="api" content="">'  # in the page, where the URL of the API belongs


def put(client: Any, bucket: str, api: str) -> None:
    """Write the page to `bucket`, with `api`, the URL that the paths of the models follow."""
    for file in sorted(FILES.iterdir(), reverse=True):  # index.html last, when all it needs is there
        content = file.read_text().replace(NO_API, NO_API.replace('""', f'"{html.escape(api)}"'))
        content_type = f"{mimetypes.guess_type(file.name)[0] or 'text/plain'}; charset=utf-8"  # which YAML is shown as
        client.put_object(
            Bucket=bucket, Key=file.name, Body=content.encode(), ContentType=content_type, CacheControl="no-cache"
        )


def url(session: boto3.Session, bucket: str) -> str:
    """Return the URL of the page in `bucket`."""
    stranger = session.client("s3", config=Config(signature_version=UNSIGNED, s3={"addressing_style": "virtual"}))
    address: str = stranger.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "index.html"})
    return address


def clear(client: Any, bucket: str) -> None:
    """Remove every object of `bucket`, so that its stack can be deleted; all versions, if someone made it keep them."""
    for found in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
