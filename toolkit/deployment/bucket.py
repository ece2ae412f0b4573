"""An S3 bucket for what a deployment sends: made when absent, closed unless opened, removed only if made here."""

import hashlib
import json
from pathlib import Path

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from toolkit.cli import CommandError, log

OWNER_TAG = "made-by-stack"  # on a bucket that was made here, so that it may be removed here


class Bucket:
    """One bucket by its name, which may not exist yet."""

    def __init__(self, session: boto3.Session, name: str):
        """Take the bucket called `name`, to be made in the session's region."""
        self._session, self._client, self.name = session, session.client("s3"), name

    def make(self, owner: str) -> None:
        """Make the bucket if there is none: no public access, encrypted as all are, marked as made for `owner`."""
        try:
            self._client.head_bucket(Bucket=self.name)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] == "403":
                raise CommandError(f"bucket {self.name} is someone else's; name another with --bucket") from None
            if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
                raise
        region = self._client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._client.create_bucket(Bucket=self.name, **where)
        self._allow_public_policy(False)
        self._client.put_bucket_tagging(Bucket=self.name, Tagging={"TagSet": [{"Key": OWNER_TAG, "Value": owner}]})
        log(f"made bucket {self.name}")

    def is_ours(self) -> bool:
        """Tell whether the bucket exists and was made here."""
        try:
            tags = self._client.get_bucket_tagging(Bucket=self.name)["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchBucket", "NoSuchTagSet", "AccessDenied"):
                raise
            return False
        return any(tag["Key"] == OWNER_TAG for tag in tags)

    def send_package(self, folder: str, package: Path) -> str:
        """Send a zip under a name that carries its hash, unless it is there already; return its URI."""
        with package.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        key = f"{folder}/{digest[:16]}.zip"
        try:
            self._client.head_object(Bucket=self.name, Key=key)
            log(f"{package.name}: unchanged")
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            self._client.upload_file(str(package), self.name, key)
            log(f"{package.name}: sent {package.stat().st_size / 1e6:.1f} MB to s3://{self.name}/{key}")
        return f"s3://{self.name}/{key}"

    def open_to_readers(self) -> None:
        """Let anyone read every object; refused for a bucket that was not made here."""
        if not self.is_ours():
            raise CommandError(
                f"bucket {self.name} is not one that up made, so it is not opened; name another --bucket"
            )
        self._allow_public_policy(True)
        partition = self._session.get_partition_for_region(self._client.meta.region_name)
        objects = f"arn:{partition}:s3:::{self.name}/*"
        anyone_reads = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": objects}
        policy = {"Version": "2012-10-17", "Statement": [anyone_reads]}
        self._client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object that browsers ask for anew each time."""
        self._client.put_object(
            Bucket=self.name, Key=key, Body=content, ContentType=content_type, CacheControl="no-cache"
        )

    def public_url(self, key: str) -> str:
        """Return the URL of an object as a stranger's browser asks for it."""
        stranger = Config(signature_version=UNSIGNED, s3={"addressing_style": "virtual"})
        client = self._session.client("s3", config=stranger)
        url: str = client.generate_presigned_url("get_object", Params={"Bucket": self.name, "Key": key})
        return url

    def clear(self, folder: str) -> None:
        """Remove what is under `folder`, and the bucket if it was made here and nothing else is in it."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"{folder}/"):
                for found in page.get("Contents", []):
                    self._client.delete_object(Bucket=self.name, Key=found["Key"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            return
        left = self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)["KeyCount"]
        if not left and self.is_ours():
            self._client.delete_bucket(Bucket=self.name)
            log(f"removed bucket {self.name}")

    def _allow_public_policy(self, allowed: bool) -> None:
        access = {"BlockPublicAcls": True, "IgnorePublicAcls": True}
        access |= {"BlockPublicPolicy": not allowed, "RestrictPublicBuckets": not allowed}
        self._client.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=access)
