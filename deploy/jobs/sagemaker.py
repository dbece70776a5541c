"""Training jobs on SageMaker: their requests, and SageMaker as a place where jobs run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contract import metrics
from deploy.aws.client import Clock, lookup
from deploy.aws.logs import LogReader, job_reader
from deploy.aws.requests import sagemaker
from deploy.aws.tags import tag_list
from deploy.errors import DeployError, JobError
from deploy.jobs.backend import Description, Seen, Status, result_of
from deploy.jobs.backend import follow as follow_job
from deploy.jobs.request import JobRequest, JobResult
from deploy.values import Call, Request

ATTEMPTS = 50
RETRIES = 2  # of AWS's own faults (InternalServerError); the job goes on from its checkpoint
# Families with disks of their own, which a key cannot be asked for (VolumeKmsKeyId's reference): those disks are
# encrypted by the instance itself.
OWN_DISKS = re.compile(r"ml\.(?:[cmr]\d+[a-z]*d[a-z]*|g4dn|g5|g6e?|g7e?|p3dn|p4de?|p5e?n?|p6[a-z0-9-]*|trn\d\w*)\.")


def create(job: JobRequest) -> Request:
    """The CreateTrainingJob request of a job (rules 4, 11, 15–20)."""
    stopping: dict[str, Any] = {"MaxRuntimeInSeconds": job.max_run_s}
    if job.max_wait_s is not None:
        stopping["MaxWaitTimeInSeconds"] = job.max_wait_s
    params = {
        "TrainingJobName": job.name,
        "HyperParameters": dict(job.hyperparameters),
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics.definitions(),
        },
        "RoleArn": job.role,
        "InputDataConfig": [_channel(name, uri) for name, uri in job.channels.items()],
        "OutputDataConfig": {"S3OutputPath": job.output, **({"KmsKeyId": job.kms_key} if job.kms_key else {})},
        "CheckpointConfig": {"S3Uri": job.checkpoints},
        "ResourceConfig": resources(job),
        "StoppingCondition": stopping,
        "RetryStrategy": {"MaximumRetryAttempts": RETRIES},
        "EnableManagedSpotTraining": job.max_wait_s is not None,
        "Environment": dict(job.environment),
        "Tags": tag_list(job.tags),
        **network(job),
    }
    return sagemaker("CreateTrainingJob", **params)


def resources(job: JobRequest) -> dict[str, Any]:
    """ResourceConfig: the hosts, their disks and keys, and how long they are kept for the next job (rule 20)."""
    key = job.kms_key and not OWN_DISKS.match(job.instance_type)
    return {
        "InstanceType": job.instance_type,
        "InstanceCount": job.instance_count,
        "VolumeSizeInGB": job.volume_gb,
        **({"VolumeKmsKeyId": job.kms_key} if key else {}),
        **({"KeepAlivePeriodInSeconds": job.keep_alive_s} if job.keep_alive_s else {}),
    }


def network(job: JobRequest) -> dict[str, Any]:
    """VpcConfig, where the job runs inside one."""
    if not job.subnets:
        return {}
    return {"VpcConfig": {"Subnets": list(job.subnets), "SecurityGroupIds": list(job.security_groups)}}


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


@dataclass(frozen=True, kw_only=True)
class SageMaker:
    """SageMaker as a place where jobs run."""

    call: Call

    def take_up(self, job: JobRequest) -> tuple[JobRequest, Description | None]:
        return attempt(job, self.call)

    def start(self, job: JobRequest) -> None:
        self.call(create(job))

    def describe(self, name: str) -> Description | None:
        return describe(name, self.call)

    def reader(self, name: str) -> LogReader:
        return job_reader(name, self.call)

    def stop(self, name: str) -> None:
        """SIGTERM to the job, which writes a checkpoint; SIGKILL after 120 s (rule 16)."""
        self.call(stop(name))


def attempt(job: JobRequest, call: Call) -> tuple[JobRequest, Mapping[str, Any] | None]:
    """The attempt of a job to take up, with its description when it exists: one that runs or is done, else a new one.

    A name can be used once only, so after a failure the next attempt is called name-2, name-3, …
    """
    for number in range(1, ATTEMPTS):
        tried = job if number == 1 else replace(job, name=f"{job.name}-{number}")
        found = describe(tried.name, call)
        if found is None or found["TrainingJobStatus"] not in ("Failed", "Stopped"):
            return tried, found
    raise JobError(f"training job {job.name}: {ATTEMPTS} attempts have failed; mend the cause before trying again")


def describe(name: str, call: Call) -> Mapping[str, Any] | None:
    return lookup(call, sagemaker("DescribeTrainingJob", TrainingJobName=name))


def stop(name: str) -> Request:
    return sagemaker("StopTrainingJob", TrainingJobName=name)


def follow(
    name: str,
    call: Call,
    *,
    clock: Clock,
    every: float = 2.0,
    line: Seen = lambda _: None,
    status: Status = lambda *_: None,
) -> JobResult:
    """Watches a job of SageMaker to its end: see backend.follow."""
    return follow_job(name, SageMaker(call=call), clock=clock, every=every, line=line, status=status)


def result(name: str, call: Call) -> JobResult:
    """The result of a job that has ended well. Raises DeployError."""
    found = describe(name, call)
    if found is None:
        raise DeployError(f"training job {name}: is not there; ./inv train makes one")
    return result_of(found)
