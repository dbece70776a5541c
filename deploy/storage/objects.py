"""Lists the objects below an S3 prefix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import s3
from deploy.values import Call


def objects(call: Call, *, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
    """Each object of all pages: its Key, Size, ETag and LastModified."""
    listing = s3("ListObjectsV2", Bucket=bucket, Prefix=prefix)
    return pages(call, listing, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
