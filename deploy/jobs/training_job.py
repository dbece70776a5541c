"""A training job's state, parsed once from DescribeTrainingJob's answer, or from a record of the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.jobs.lifecycle import ENDED
from deploy.values import Call, Request


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """The job's current state. Fields are named as in DescribeTrainingJob's answer; `artifact` is model.tar.gz (an S3
    URI, or a path for a job on this machine), `status_message` belongs to the newest secondary status.

    `launch` counts the EC2 instances that the job has had; `max_runtime_s` is set for jobs on this machine only.
    """

    name: str
    status: str
    secondary_status: str = ""
    status_message: str = ""
    failure_reason: str = ""
    created: datetime | None = None
    modified: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    artifact: str = ""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    image: str = ""
    role: str = ""
    instance_type: str = ""
    instance_count: int = 0
    is_spot: bool = False
    instance_id: str = ""
    launch: int = 0
    max_runtime_s: float | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def seconds(self) -> float:
        """How long it trained; 0 before it has ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else 0.0


def parse(answer: Mapping[str, Any]) -> TrainingJob:
    """From DescribeTrainingJob's answer, or from the same shape in a record (see `record`)."""
    resources = answer.get("ResourceConfig", {})
    transitions = answer.get("SecondaryStatusTransitions") or [{}]
    return TrainingJob(
        name=str(answer["TrainingJobName"]),
        status=str(answer["TrainingJobStatus"]),
        secondary_status=str(answer.get("SecondaryStatus", "")),
        status_message=str(transitions[-1].get("StatusMessage", "")),
        failure_reason=str(answer.get("FailureReason", "")),
        created=answer.get("CreationTime"),
        modified=answer.get("LastModifiedTime"),
        started=answer.get("TrainingStartTime"),
        ended=answer.get("TrainingEndTime"),
        artifact=str(answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")),
        hyperparameters=dict(answer.get("HyperParameters", {})),
        metrics={
            metric["MetricName"].replace(":", "_"): metric["Value"] for metric in answer.get("FinalMetricDataList", ())
        },
        image=str(answer.get("AlgorithmSpecification", {}).get("TrainingImage", "")),
        role=str(answer.get("RoleArn", "")),
        instance_type=str(resources.get("InstanceType", "")),
        instance_count=int(resources.get("InstanceCount", 0)),
        is_spot=bool(answer.get("EnableManagedSpotTraining")),
        instance_id=str(answer.get("InstanceId", "")),
        launch=int(answer.get("Launch", 0)),
        max_runtime_s=answer.get("MaxRuntimeInSeconds"),
    )


def record(job: TrainingJob) -> dict[str, Any]:
    """The fields that job.json keeps, in DescribeTrainingJob's shape; `parse` reads them back."""
    fields = {
        "TrainingJobName": job.name,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary_status,
        "FailureReason": job.failure_reason,
        "CreationTime": job.created,
        "TrainingStartTime": job.started,
        "TrainingEndTime": job.ended,
        "ModelArtifacts": {"S3ModelArtifacts": job.artifact} if job.artifact else {},
        "HyperParameters": dict(job.hyperparameters),
        "InstanceId": job.instance_id,
        "Launch": job.launch,
        "MaxRuntimeInSeconds": job.max_runtime_s,
    }
    return {name: value for name, value in fields.items() if value}


def newest_first(prefix: str, status: str) -> Request:
    """The request that lists SageMaker's training jobs with this prefix and status, the newest first."""
    order = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    return sagemaker("ListTrainingJobs", NameContains=prefix, StatusEquals=status, **order)


def describe(name: str, call: Call) -> TrainingJob | None:
    """A training job of SageMaker; None when it does not exist."""
    answer = lookup(call, sagemaker("DescribeTrainingJob", TrainingJobName=name))
    return None if answer is None else parse(answer)
