"""Empties a bucket: S3 deletes only one that holds nothing."""

from __future__ import annotations

from deploy.aws.requests import s3
from deploy.values import Call


def empty_bucket(bucket: str, call: Call) -> None:
    """Deletes every version of every object, a thousand at a time. Raises AwsError."""
    while True:
        answer = call(s3("ListObjectVersions", Bucket=bucket))
        versions = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        if not versions:
            return
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
        call(s3("DeleteObjects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}))
