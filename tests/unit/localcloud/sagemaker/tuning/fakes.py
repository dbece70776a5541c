"""Tuning requests, and training jobs that end when a test says so."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from localcloud.errors import ApiError
from localcloud.sagemaker.training.metrics import MetricScanner
from localcloud.sagemaker.training.request import TrainingRequest
from localcloud.sagemaker.training.status import Record

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def continuous(name: str = "rate", low: str = "0.1", high: str = "1.0", **more: str) -> dict[str, str]:
    return {"Name": name, "MinValue": low, "MaxValue": high} | more


def tuning_request(**changes: Any) -> dict[str, Any]:
    """A valid CreateHyperParameterTuningJob request; `config` and `definition` change its parts."""
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
        "ParameterRanges": {"ContinuousParameterRanges": [continuous()]},
        "RandomSeed": 1,
    } | changes.pop("config", {})
    definition = {
        "AlgorithmSpecification": {
            "TrainingImage": "kennel/train:test",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/train",
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "StaticHyperParameters": {"epochs": "3"},
    } | changes.pop("definition", {})
    made = {
        "HyperParameterTuningJobName": "tune-1",
        "HyperParameterTuningJobConfig": {key: value for key, value in config.items() if value is not None},
        "TrainingJobDefinition": {key: value for key, value in definition.items() if value is not None},
    }
    return made | changes


@dataclass
class FakeJob:
    """A training job that logs values and ends when the test says so."""

    request: TrainingRequest
    tuning: str | None
    record: Record = field(default_factory=lambda: Record(created=NOW, modified=NOW))
    stops: int = 0

    def __post_init__(self) -> None:
        self.name, self.arn = self.request.name, f"arn:{self.request.name}"
        self._scanner = MetricScanner(self.request.metrics)

    def log(self, *values: float) -> None:
        for value in values:
            self._scanner.scan(f"score={value}")

    def history(self, metric: str) -> list[float]:
        return self._scanner.history(metric)

    def end(self, status: str = "Completed", *values: float) -> None:
        self.log(*values)
        self.record = replace(self.record, status=status, started=NOW, ended=NOW)

    def stop(self) -> None:
        self.stops += 1
        self.end("Stopped")


@dataclass
class FakeTrainer:
    """Begins FakeJobs; after `limit` of them it refuses."""

    jobs: list[FakeJob] = field(default_factory=list)
    limit: int = 100

    def check(self, request: TrainingRequest) -> None: ...

    def begin(self, request: TrainingRequest, *, tuning: str | None = None) -> FakeJob:
        if len(self.jobs) == self.limit:
            raise ApiError("ResourceLimitExceeded", "no more instances")
        self.jobs.append(FakeJob(request=request, tuning=tuning))
        return self.jobs[-1]
