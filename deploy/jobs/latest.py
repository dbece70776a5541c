"""A training's newest completed job, on SageMaker or elsewhere: the one whose model an endpoint serves."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from deploy.aws.client import pages
from deploy.config.settings import Settings
from deploy.jobs import records
from deploy.jobs.training_job import TrainingJob, describe, newest_first
from deploy.values import Call

LONG_AGO = datetime.min.replace(tzinfo=UTC)


def latest_job(settings: Settings, call: Call, *, training: str = "train", job: str = "") -> TrainingJob | None:
    """`job`, or the newest completed job of `training`; None when there is none.

    Both may be jobs of SageMaker, or jobs on EC2 or somebody's machine that left a record in the bucket.
    """
    if job:
        return describe(job, call) or records.read(settings.bucket, job, call)
    prefix = f"{settings.prefix}-{training}-"
    jobs = (_newest_of_sagemaker(prefix, call), records.newest(settings.bucket, prefix, call))
    return max((each for each in jobs if each), key=lambda each: each.created or LONG_AGO, default=None)


def is_of(prefix: str, name: str) -> bool:
    """Whether a job is of the training with this prefix: "multi-" must not match the jobs of "multi-large"."""
    return re.fullmatch(rf"{re.escape(prefix)}[0-9a-f]{{10}}(-\d+)?", name) is not None


def _newest_of_sagemaker(prefix: str, call: Call) -> TrainingJob | None:
    listed = pages(call, newest_first(prefix, "Completed"), items="TrainingJobSummaries")
    names = (each["TrainingJobName"] for each in listed)
    name = next((name for name in names if is_of(prefix, name)), None)
    return describe(name, call) if name else None
