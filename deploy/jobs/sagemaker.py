"""Training jobs on SageMaker: the CreateTrainingJob request, and following a job to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from contract import metrics
from deploy.aws import Clock, lookup
from deploy.errors import DeployError, JobError
from deploy.jobs.request import JobRequest, JobResult
from deploy.log_reader import Line, job_reader
from deploy.models import Call, Request
from deploy.resources.base import tag_list

ENDED = ("Completed", "Failed", "Stopped")
ATTEMPTS = 50
# What SageMaker says → what it means. Looked for in FailureReason, the first that fits.
PLAIN = (
    ("CapacityError", "AWS has no such instance free now: try again later, another type, or another region"),
    ("ResourceLimitExceeded", "the quota for this instance type is too low: ask for more, or choose another type"),
    ("exec format error", "the image is for another CPU architecture: build it for linux/amd64"),
    ("executable file not found", "the image has no entrypoint that takes `train`: build it with ./inv build train"),
    ("MaxRuntimeExceeded", "it ran longer than training.max_run_minutes: raise that in deploy.toml"),
    ("exit code: 137", "out of memory: a larger instance or a smaller batch_size"),
)


Seen = Callable[[Line], None]
Status = Callable[[str, str], None]


def create(job: JobRequest) -> Request:
    """The CreateTrainingJob request of a job."""
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
        "OutputDataConfig": {"S3OutputPath": job.output},
        "CheckpointConfig": {"S3Uri": job.checkpoints},
        "ResourceConfig": {
            "InstanceType": job.instance_type,
            "InstanceCount": job.instance_count,
            "VolumeSizeInGB": job.volume_gb,
        },
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": job.max_wait_s is not None,
        "Environment": dict(job.environment),
        "Tags": tag_list(job.tags),
    }
    return Request(service="sagemaker", operation="CreateTrainingJob", params=params)


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


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
    return lookup(call, Request(service="sagemaker", operation="DescribeTrainingJob", params={"TrainingJobName": name}))


def follow(
    name: str,
    call: Call,
    *,
    clock: Clock,
    every: float = 2.0,
    line: Seen = lambda _: None,
    status: Status = lambda *_: None,
) -> JobResult:
    """Watches a job to its end: `line` hears what it writes, `status` each new secondary status with its message.

    Raises JobError when it failed or was stopped, with the reason in plain words.
    """
    reader, last, numbers = job_reader(name, call), "", {}
    while True:
        found = describe(name, call)
        if found is None:
            raise JobError(f"training job {name}: is not there")
        secondary = str(found.get("SecondaryStatus", found["TrainingJobStatus"]))
        if secondary != last:
            moves = found.get("SecondaryStatusTransitions") or [{}]
            status(secondary, str(moves[-1].get("StatusMessage", "")))
            last = secondary
        has_ended = found["TrainingJobStatus"] in ENDED
        for each in reader.read():
            line(each)
            for values in metrics.parse(each.text):
                numbers.update(values)
        if has_ended:
            return _result(found, numbers)
        clock.sleep(every)


def plain(reason: str) -> str:
    """A FailureReason with what to do about it."""
    fix = next((meaning for text, meaning in PLAIN if text in reason), "")
    return f"{reason}\n{fix}" if fix else reason


def _result(found: Mapping[str, Any], numbers: Mapping[str, float]) -> JobResult:
    name, status = found["TrainingJobName"], found["TrainingJobStatus"]
    if status != "Completed":
        reason = plain(found.get("FailureReason") or f"it was {status.lower()}")
        raise JobError(f"training job {name}: {status}: {reason}\n./inv logs {name} shows all it wrote")
    artifact = str(found["ModelArtifacts"]["S3ModelArtifacts"])
    final = {each["MetricName"].replace(":", "_"): each["Value"] for each in found.get("FinalMetricDataList", ())}
    return JobResult(
        name=name,
        status=status,
        artifact=artifact,
        reports=artifact.removesuffix("model.tar.gz") + "output.tar.gz",
        seconds=_seconds(found),
        metrics={**final, **numbers},
    )


def _seconds(found: Mapping[str, Any]) -> float:
    began, ended = found.get("TrainingStartTime"), found.get("TrainingEndTime")
    return (ended - began).total_seconds() if began and ended else 0.0


def result(name: str, call: Call) -> JobResult:
    """The result of a job that has ended well. Raises DeployError."""
    found = describe(name, call)
    if found is None:
        raise DeployError(f"training job {name}: is not there; ./inv train makes one")
    return _result(found, {})
