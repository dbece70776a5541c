"""Which model is served: a training's newest completed job, wherever it ran."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import sagemaker
from deploy.config.settings import Settings
from deploy.jobs import records
from deploy.values import Call


def latest_job(settings: Settings, call: Call, *, training: str = "train", job: str = "") -> Mapping[str, Any] | None:
    """The description of `job`, or of the newest completed job of `training`: a job of SageMaker, or one that ran on
    EC2 or on somebody's own machine and whose record lies in the bucket. None when there is none."""
    if job:
        return _described(job, call) or records.read(settings.bucket, job, call)
    prefix = f"{settings.prefix}-{training}-"
    found = [_newest_of_sagemaker(prefix, call), records.newest(settings.bucket, prefix, call)]
    return max((each for each in found if each), key=lambda each: each["CreationTime"], default=None)


def is_of(prefix: str, name: str) -> bool:
    """Whether a job is of the training with this prefix: "multi-" must not find the jobs of "multi-large"."""
    return re.fullmatch(rf"{re.escape(prefix)}[0-9a-f]{{10}}(-\d+)?", name) is not None


def _newest_of_sagemaker(prefix: str, call: Call) -> Mapping[str, Any] | None:
    params = {
        "NameContains": prefix,
        "StatusEquals": "Completed",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
    }
    listing = sagemaker("ListTrainingJobs", **params)
    names = (each["TrainingJobName"] for each in pages(call, listing, items="TrainingJobSummaries"))
    name = next((name for name in names if is_of(prefix, name)), None)
    return _described(name, call) if name else None


def _described(name: str, call: Call) -> Mapping[str, Any] | None:
    return lookup(call, sagemaker("DescribeTrainingJob", TrainingJobName=name))
