"""Training jobs on SageMaker: their requests, and the backend that runs them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from contract import metrics
from deploy.aws.logs import LogReader, job_reader
from deploy.aws.requests import sagemaker
from deploy.aws.tags import tag_list
from deploy.jobs.lifecycle import find_attempt
from deploy.jobs.request import JobRequest
from deploy.jobs.training_job import TrainingJob, describe
from deploy.values import Call, Request

ATTEMPTS = 50
RETRIES = 2  # after an InternalServerError of AWS; the job resumes from its checkpoint
# Instance families with local disks, for which AWS refuses a VolumeKmsKeyId (see its reference): the instance encrypts
# these disks itself.
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
    """ResourceConfig: the hosts, their disks and key, and how long AWS keeps the hosts for the next job (rule 20)."""
    key = job.kms_key and not OWN_DISKS.match(job.instance_type)
    return {
        "InstanceType": job.instance_type,
        "InstanceCount": job.instance_count,
        "VolumeSizeInGB": job.volume_gb,
        **({"VolumeKmsKeyId": job.kms_key} if key else {}),
        **({"KeepAlivePeriodInSeconds": job.keep_alive_s} if job.keep_alive_s else {}),
    }


def network(job: JobRequest) -> dict[str, Any]:
    """VpcConfig for a job inside a VPC; empty for any other."""
    if not job.subnets:
        return {}
    return {"VpcConfig": {"Subnets": list(job.subnets), "SecurityGroupIds": list(job.security_groups)}}


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


@dataclass(frozen=True, kw_only=True)
class SageMakerBackend:
    """Runs jobs on SageMaker."""

    call: Call

    def find_attempt(self, job: JobRequest) -> tuple[JobRequest, TrainingJob | None]:
        return attempt(job, self.call)

    def start(self, job: JobRequest) -> None:
        self.call(create(job))

    def describe(self, name: str) -> TrainingJob | None:
        return describe(name, self.call)

    def reader(self, name: str) -> LogReader:
        return job_reader(name, self.call)

    def stop(self, name: str) -> None:
        """SIGTERM, so that the job writes a checkpoint; SIGKILL after 120 s (rule 16)."""
        self.call(stop(name))


def attempt(job: JobRequest, call: Call) -> tuple[JobRequest, TrainingJob | None]:
    """The job's first attempt that neither failed nor was stopped, with its state; else the next attempt, with None.

    Attempts are called name, name-2, name-3, … Raises JobError after 50.
    """
    name, state = find_attempt(
        "training job",
        job.name,
        partial(describe, call=call),
        reusable=lambda each: each.status not in ("Failed", "Stopped"),
        attempts=ATTEMPTS,
    )
    return replace(job, name=name), state


def stop(name: str) -> Request:
    return sagemaker("StopTrainingJob", TrainingJobName=name)
