"""Training jobs as SageMaker's API shows them: create, describe, list, stop; and a spot interruption on demand."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.iam import require_sagemaker_role
from localcloud.s3 import location
from localcloud.sagemaker.training import request as plan
from localcloud.sagemaker.training.data import locate
from localcloud.sagemaker.training.job import TrainingRun
from localcloud.sagemaker.training.status import message

# Members that Describe gives back as Create got them.
_ECHOED = (
    "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
    "ResourceConfig", "VpcConfig", "StoppingCondition", "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig", "Environment",
    "RetryStrategy", "ExperimentConfig", "DebugHookConfig", "TensorBoardOutputConfig", "ProfilerConfig",
    "RemoteDebugConfig", "InfraCheckConfig",
)  # fmt: skip


class TrainingJobs:
    """Every training job of this localcloud, by name."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._runs: dict[str, TrainingRun] = {}
        self._lock = threading.Lock()

    def service(self) -> Service:
        return Service(
            name="sagemaker",
            handlers={
                "CreateTrainingJob": self.create,
                "DescribeTrainingJob": self.describe,
                "ListTrainingJobs": self.list,
                "StopTrainingJob": self.stop,
                "DeleteTrainingJob": self.delete,
            },
            local={"POST training-jobs/{name}/interrupt": self.interrupt},
            close=self.close,
        )

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob: everything that can be known to be wrong is told now, the rest by the job's failure."""
        return {"TrainingJobArn": self.begin(params).arn}

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise ApiError for a job that cannot be begun."""
        plan.check(params)
        self._cloud.images.check_sagemaker(params["AlgorithmSpecification"]["TrainingImage"])
        self._check_s3(params)
        self._check_quotas(params)

    def begin(self, params: dict[str, Any], *, tuning: str | None = None) -> TrainingRun:
        """Begin a job; `tuning` is the ARN of the tuning job that launches it. Raises ApiError."""
        self.check(params)
        name = params["TrainingJobName"]
        arn = self._cloud.arn("sagemaker", f"training-job/{name.lower()}")
        require_sagemaker_role(self._cloud.roles, params["RoleArn"], arn)
        with self._lock:
            if name in self._runs:
                raise ApiError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({arn})",
                )
            run = self._runs[name] = TrainingRun(self._cloud, params, arn)
        run.tuning = tuning
        self._cloud.tags.put(arn, params.get("Tags"))
        run.start()
        return run

    def _check_s3(self, params: Mapping[str, Any]) -> None:
        for channel in plan.channels(params):
            locate(channel, self._cloud.objects, region=self._cloud.region, role=params["RoleArn"])
        outputs = [params["OutputDataConfig"]["S3OutputPath"]]
        if "CheckpointConfig" in params:
            outputs.append(params["CheckpointConfig"]["S3Uri"])
        for uri in outputs:
            if not self._cloud.objects.bucket_exists(_location(uri)):
                raise ApiError("ValidationException", f"S3 path {uri}: The specified bucket does not exist")

    def _check_quotas(self, params: Mapping[str, Any]) -> None:
        spot = bool(params.get("EnableManagedSpotTraining"))
        use = "spot training job usage" if spot else "training job usage"
        with self._lock:
            running = [run.request for run in self._runs.values() if run.record.ended is None]
        alike = [each for each in running if bool(each.get("EnableManagedSpotTraining")) == spot]
        used = Counter(host.instance_type for each in alike for host in plan.hosts(each))
        for instance_type, count in Counter(host.instance_type for host in plan.hosts(params)).items():
            self._cloud.quotas.require(instance_type, use, count=count, used=used[instance_type])

    def _run(self, name: str) -> TrainingRun:
        with self._lock:
            if name not in self._runs:
                raise ApiError("ValidationException", "Requested resource not found.")
            return self._runs[name]

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        return described(self._run(params["TrainingJobName"]))

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        self._run(params["TrainingJobName"]).stop()
        return {}

    def interrupt(self, labels: dict[str, Any]) -> dict[str, Any]:
        self._run(labels["name"]).interrupt()
        return {"interrupted": labels["name"]}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob: only of a job that has ended."""
        run = self._run(params["TrainingJobName"])
        if run.record.ended is None:
            raise ApiError("ResourceInUse", f"Training job {run.name} is {run.record.status}; stop it first")
        with self._lock:
            self._runs.pop(run.name, None)
        self._cloud.tags.forget(run.arn)
        return {}

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs with its filters, order and pages (the token is the offset)."""
        with self._lock:
            runs = [run for run in self._runs.values() if _matches(run, params)]
        key = _ORDERS[params.get("SortBy", "CreationTime")]
        runs.sort(key=key, reverse=params.get("SortOrder", "Descending") == "Descending")
        first = int(params.get("NextToken") or 0)
        last = first + params.get("MaxResults", 10)
        found: dict[str, Any] = {"TrainingJobSummaries": [_summary(run) for run in runs[first:last]]}
        return found | ({"NextToken": str(last)} if last < len(runs) else {})

    def close(self) -> None:
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.close()


def described(run: TrainingRun) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    record = run.record
    found: dict[str, Any] = {name: run.request.get(name) for name in _ECHOED}
    found |= {
        "TrainingJobArn": run.arn,
        "TuningJobArn": run.tuning,
        "ModelArtifacts": {"S3ModelArtifacts": record.artifacts or _future_artifacts(run.request)},
        "TrainingJobStatus": record.status,
        "SecondaryStatus": record.secondary,
        "FailureReason": record.failure,
        "CreationTime": record.created,
        "TrainingStartTime": record.started,
        "TrainingEndTime": record.ended,
        "LastModifiedTime": record.modified,
        "SecondaryStatusTransitions": [
            {"Status": t.status, "StartTime": t.start, "EndTime": t.end, "StatusMessage": message(t)}
            for t in record.transitions
        ],
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": when} for name, value, when in record.metrics
        ]
        or None,
    }
    if record.started and record.ended:
        seconds = math.ceil((record.ended - record.started).total_seconds())
        found |= {"TrainingTimeInSeconds": max(1, seconds), "BillableTimeInSeconds": max(1, seconds)}
    return found


def _future_artifacts(request: Mapping[str, Any]) -> str:
    """Where the model will be; SageMaker names it from the start."""
    output = request["OutputDataConfig"]
    ending = "model.tar.gz" if output.get("CompressionType", "GZIP") == "GZIP" else "model/"
    return f"{output['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output/{ending}"


def _summary(run: TrainingRun) -> dict[str, Any]:
    record = run.record
    return {
        "TrainingJobName": run.name,
        "TrainingJobArn": run.arn,
        "CreationTime": record.created,
        "TrainingEndTime": record.ended,
        "LastModifiedTime": record.modified,
        "TrainingJobStatus": record.status,
        "SecondaryStatus": record.secondary,
    }


_ORDERS: dict[str, Callable[[TrainingRun], Any]] = {
    "CreationTime": lambda run: run.record.created,
    "Name": lambda run: run.name,
    "Status": lambda run: run.record.status,
}


def _matches(run: TrainingRun, params: Mapping[str, Any]) -> bool:
    record = run.record
    tests: dict[str, Callable[[Any], bool]] = {
        "StatusEquals": lambda wanted: record.status == wanted,
        "NameContains": lambda wanted: wanted.lower() in run.name.lower(),
        "CreationTimeAfter": lambda wanted: record.created >= wanted,
        "CreationTimeBefore": lambda wanted: record.created <= wanted,
        "LastModifiedTimeAfter": lambda wanted: record.modified >= wanted,
        "LastModifiedTimeBefore": lambda wanted: record.modified <= wanted,
    }
    return all(test(params[name]) for name, test in tests.items() if name in params)


def _location(uri: str) -> str:
    try:
        return location(uri).bucket
    except ValueError as error:
        raise ApiError("ValidationException", str(error)) from None
