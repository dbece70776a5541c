"""Jobs that ran elsewhere than on SageMaker: their descriptions, in the stage's bucket beside their artifacts.

`jobs/<name>/job.json` has the shape of DescribeTrainingJob's answer, so that whatever reads one reads the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import s3
from deploy.values import Call, Request

FILE = "job.json"
TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime")


def key(name: str) -> str:
    return f"jobs/{name}/{FILE}"


def put(bucket: str, found: Mapping[str, Any]) -> Request:
    """The request that writes a job's description."""
    body = json.dumps(found, indent=2, default=datetime.isoformat).encode()
    params = {"Bucket": bucket, "Key": key(found["TrainingJobName"]), "Body": body, "ContentType": "application/json"}
    return s3("PutObject", **params)


def read(bucket: str, name: str, call: Call) -> dict[str, Any] | None:
    """A job's description, its times as datetimes; None when there is none."""
    answer = lookup(call, s3("GetObject", Bucket=bucket, Key=key(name)))
    return None if answer is None else parse(answer["Body"].read())


def parse(text: bytes | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return {name: datetime.fromisoformat(value) if name in TIMES else value for name, value in found.items()}


def newest(bucket: str, prefix: str, call: Call, *, status: str = "Completed") -> dict[str, Any] | None:
    """The description of the newest job whose name begins with `prefix` and that stands so; None when there is none, or
    no bucket yet."""
    if lookup(call, s3("HeadBucket", Bucket=bucket)) is None:
        return None
    listing = s3("ListObjectsV2", Bucket=bucket, Prefix=f"jobs/{prefix}")
    found = pages(call, listing, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
    written = sorted((each["LastModified"], each["Key"]) for each in found if each["Key"].endswith(f"/{FILE}"))
    for _, name in reversed(written):
        job = read(bucket, name.split("/")[1], call)
        if job and job["TrainingJobStatus"] == status:
            return job
    return None
