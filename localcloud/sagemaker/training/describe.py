"""Training jobs as DescribeTrainingJob and ListTrainingJobs show them. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localcloud.sagemaker.defaults import TRAINING, filled
from localcloud.sagemaker.training.job import TrainingJob
from localcloud.sagemaker.training.status import message

# Members that Describe gives back as Create got them.
_ECHOED = (
    "TrainingJobName", "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
    "ResourceConfig", "VpcConfig", "StoppingCondition", "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig", "Environment",
    "RetryStrategy", "ExperimentConfig", "DebugHookConfig", "TensorBoardOutputConfig", "ProfilerConfig",
    "RemoteDebugConfig", "InfraCheckConfig",
)  # fmt: skip


def describe(job: TrainingJob) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    record = job.record
    answer = filled({name: job.request.described.get(name) for name in _ECHOED}, TRAINING)
    answer |= {
        "TrainingJobArn": job.arn,
        "TuningJobArn": job.tuning,
        "ProfilingStatus": "Enabled" if _is_profiled(job.request.described) else "Disabled",
        "ModelArtifacts": {"S3ModelArtifacts": record.artifacts or job.request.artifacts},
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
        seconds = max(1, math.ceil((record.ended - record.started).total_seconds()))
        answer |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return answer


def _is_profiled(request: Mapping[str, Any]) -> bool:
    """Whether a job asks to be profiled; localcloud profiles nothing, but clients read the status."""
    config = request.get("ProfilerConfig") or {"DisableProfiler": True}
    return not config.get("DisableProfiler")


def listing(jobs: Iterable[TrainingJob], params: Mapping[str, Any]) -> dict[str, Any]:
    """ListTrainingJobs' answer, filtered, sorted and paged; NextToken is an offset."""
    rows = [row for row in map(_summary, jobs) if _matches(row, params)]
    key = _SORT_KEYS[params.get("SortBy", "CreationTime")]
    rows.sort(key=lambda row: row[key], reverse=params.get("SortOrder", "Descending") == "Descending")
    first = int(params.get("NextToken") or 0)
    last = first + params.get("MaxResults", 10)
    answer: dict[str, Any] = {"TrainingJobSummaries": rows[first:last]}
    return answer | ({"NextToken": str(last)} if last < len(rows) else {})


def _summary(job: TrainingJob) -> dict[str, Any]:
    record = job.record
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": record.created,
        "TrainingEndTime": record.ended,
        "LastModifiedTime": record.modified,
        "TrainingJobStatus": record.status,
        "SecondaryStatus": record.secondary,
    }


_SORT_KEYS = {"CreationTime": "CreationTime", "Name": "TrainingJobName", "Status": "TrainingJobStatus"}

# A filter of ListTrainingJobs: whether a row passes the filter's value.
_FILTERS: Mapping[str, Callable[[Mapping[str, Any], Any], bool]] = {
    "StatusEquals": lambda row, value: row["TrainingJobStatus"] == value,
    "NameContains": lambda row, value: value.lower() in row["TrainingJobName"].lower(),
    "CreationTimeAfter": lambda row, value: row["CreationTime"] >= value,
    "CreationTimeBefore": lambda row, value: row["CreationTime"] <= value,
    "LastModifiedTimeAfter": lambda row, value: row["LastModifiedTime"] >= value,
    "LastModifiedTimeBefore": lambda row, value: row["LastModifiedTime"] <= value,
}


def _matches(row: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return all(passes(row, params[name]) for name, passes in _FILTERS.items() if name in params)
