"""A client of S3, with which jobs read and write objects. moto is the S3 service, behind localcloud's own port."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from localcloud.aws_client import ROOT, Credentials, client

_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Location:
    """An S3 bucket and key, or key prefix. No slash is added to a prefix."""

    bucket: str
    key: str

    def __truediv__(self, name: str) -> "Location":
        joined = f"{self.key.rstrip('/')}/{name}" if self.key.strip("/") else name
        return Location(bucket=self.bucket, key=joined)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, kw_only=True)
class S3Object:
    """One object under a prefix."""

    key: str
    size: int
    etag: str


def location(uri: str) -> Location:
    """The Location of `s3://bucket/key` or of an S3 https address. Raises ValueError for anything else."""
    match = re.fullmatch(r"s3://([^/]+)/?(.*)", uri) or re.fullmatch(
        r"https://s3[.-][a-z0-9-]*\.?amazonaws\.com/([^/]+)/?(.*)", uri
    )
    if not match:
        raise ValueError(f"not an S3 address: {uri}")
    return Location(bucket=match.group(1), key=match.group(2))


class Objects(Protocol):
    """What localcloud's services need of S3. Tests use an in-memory one."""

    def bucket_exists(self, bucket: str) -> bool: ...
    def list(self, where: Location) -> list[S3Object]: ...
    def get(self, where: Location) -> bytes | None: ...
    def put(self, where: Location, content: bytes) -> None: ...
    def delete(self, where: Location) -> None: ...
    def download(self, where: Location, target: Path) -> None: ...
    def upload(self, source: Path, where: Location) -> None: ...


class S3Objects:
    """The real client. `get` returns None for a missing key; the other methods raise botocore's ClientError."""

    def __init__(self, endpoint_url: str, region: str, credentials: Credentials = ROOT) -> None:
        self._client = client("s3", endpoint_url, region, credentials)

    def bucket_exists(self, bucket: str) -> bool:
        """Whether a bucket is there, also one that may not be read."""
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            return is_denied(error)
        return True

    def list(self, where: Location) -> list[S3Object]:
        """Every object whose key starts with the location's key, sorted by key, without "folder" markers."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=where.bucket, Prefix=where.key)
        return [
            S3Object(key=entry["Key"], size=entry["Size"], etag=entry["ETag"])
            for page in pages
            for entry in page.get("Contents", [])
            if not entry["Key"].endswith("/")
        ]

    def get(self, where: Location) -> bytes | None:
        try:
            content: bytes = self._client.get_object(Bucket=where.bucket, Key=where.key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
                return None
            raise
        return content

    def put(self, where: Location, content: bytes) -> None:
        self._client.put_object(Bucket=where.bucket, Key=where.key, Body=content)

    def delete(self, where: Location) -> None:
        self._client.delete_object(Bucket=where.bucket, Key=where.key)

    def download(self, where: Location, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.download_file(where.bucket, where.key, str(target))

    def upload(self, source: Path, where: Location) -> None:
        self._client.upload_file(str(source), where.bucket, where.key)


@lru_cache(maxsize=64)
def objects_as(endpoint_url: str, region: str, credentials: Credentials) -> S3Objects:
    """S3 for whoever has the credentials."""
    return S3Objects(endpoint_url, region, credentials)


def is_denied(error: ClientError) -> bool:
    """Whether S3 refuses because a right is missing. The answer to a HEAD has no code but its status."""
    return error.response["Error"]["Code"] in ("AccessDenied", "403")


def in_parallel(work: Callable[[Any], object], things: Iterable[Any]) -> None:
    """Call `work` with every thing, a few at a time. Raises the first error."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(work, things):
            pass
