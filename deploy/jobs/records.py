"""Records of training jobs that ran on EC2 or on somebody's machine: job.json, in the stage's bucket.

`jobs/<name>/job.json` lies beside the job's artifact and has the shape of DescribeTrainingJob's answer.
"""

from __future__ import annotations

import json
from datetime import datetime

from deploy.aws.client import lookup
from deploy.aws.requests import s3
from deploy.jobs import training_job
from deploy.jobs.training_job import TrainingJob
from deploy.storage.objects import objects
from deploy.values import Call, Request

FILE = "job.json"
TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime")


def key(name: str) -> str:
    return f"jobs/{name}/{FILE}"


def put(bucket: str, job: TrainingJob) -> Request:
    """The request that writes a job's record."""
    params = {"Bucket": bucket, "Key": key(job.name), "Body": dump(job).encode(), "ContentType": "application/json"}
    return s3("PutObject", **params)


def read(bucket: str, name: str, call: Call) -> TrainingJob | None:
    """A job's record; None when there is none."""
    answer = lookup(call, s3("GetObject", Bucket=bucket, Key=key(name)))
    return None if answer is None else load(answer["Body"].read())


def dump(job: TrainingJob) -> str:
    """The text of job.json, its times in ISO format."""
    return json.dumps(training_job.record(job), indent=2, default=datetime.isoformat)


def load(text: bytes | str) -> TrainingJob:
    """The job of a job.json."""
    fields = json.loads(text)
    times = {name: datetime.fromisoformat(fields[name]) for name in TIMES if name in fields}
    return training_job.parse(fields | times)


def newest(bucket: str, prefix: str, call: Call, *, status: str = "Completed") -> TrainingJob | None:
    """The newest record with this status whose job's name begins with `prefix`; None without one, or without a
    bucket."""
    if lookup(call, s3("HeadBucket", Bucket=bucket)) is None:
        return None
    keys = ((each["LastModified"], each["Key"]) for each in objects(call, bucket=bucket, prefix=f"jobs/{prefix}"))
    written = sorted((when, path) for when, path in keys if path.endswith(f"/{FILE}"))
    for _, path in reversed(written):
        job = read(bucket, path.split("/")[1], call)
        if job and job.status == status:
            return job
    return None
