"""Running jobs of SageMaker, which `down` stops. Jobs that have ended cost nothing, and SageMaker keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags
from deploy.config.settings import Settings
from deploy.jobs.lifecycle import ENDED
from deploy.planning.resource import ResourceKind, delete, listing
from deploy.values import Call, Step, Wait

TRIAL = re.compile(r".*-\d{3}-[0-9a-f]{8}")  # a training job that a tuning job started, and stops itself
PATIENCE_S = 600


def _kind(name: str, noun: str, arn: str, items: str) -> ResourceKind:
    """One kind of job. `noun` is its name in SageMaker's operations, `items` the key of the list operation's answer."""
    listed = listing(
        "sagemaker", f"List{noun}s", items, f"{noun}Name", StatusEquals="InProgress", NameContains="{prefix}"
    )

    def names(settings: Settings, call: Call) -> Iterator[str]:
        return (each for each in listed(settings, call) if noun != "TrainingJob" or not TRIAL.fullmatch(each))

    def remove(job: str, _: Settings) -> Step:
        params = {f"{noun}Name": job}
        ended = Wait(
            request=sagemaker(f"Describe{noun}", **params),
            path=f"{noun}Status",
            until=ENDED,
            timeout=PATIENCE_S,
        )
        stop = sagemaker(f"Stop{noun}", **params)
        return delete(f"{name}/{job}", stop, ended, touches="stops the running job")

    return ResourceKind(name=name, names=names, tags=sagemaker_tags(arn), remove=remove, state=lambda *_: "InProgress")


KINDS = (
    _kind("tuning-job", "HyperParameterTuningJob", "hyper-parameter-tuning-job", "HyperParameterTuningJobSummaries"),
    _kind("training-job", "TrainingJob", "training-job", "TrainingJobSummaries"),
    _kind("transform-job", "TransformJob", "transform-job", "TransformJobSummaries"),
)
NAMES = tuple(kind.name for kind in KINDS)
