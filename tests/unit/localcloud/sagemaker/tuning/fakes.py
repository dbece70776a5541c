"""Tuning requests, and training jobs that end when a test says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from localcloud.errors import ApiError
from localcloud.sagemaker.training.request import MetricScanner
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
class FakeRun:
    """A training job: it says values and ends when told."""

    request: dict[str, Any]
    tuning: str | None
    record: Record = field(default_factory=lambda: Record(created=NOW, modified=NOW))
    stops: int = 0

    def __post_init__(self) -> None:
        self.name, self.arn = self.request["TrainingJobName"], f"arn:{self.request['TrainingJobName']}"
        self.scanner = MetricScanner(self.request["AlgorithmSpecification"]["MetricDefinitions"])

    def say(self, *values: float) -> None:
        for value in values:
            self.scanner.scan(f"score={value}")

    def end(self, status: str = "Completed", *values: float) -> None:
        self.say(*values)
        self.record = replace(self.record, status=status, started=NOW, ended=NOW)

    def stop(self) -> None:
        self.stops += 1
        self.end("Stopped")


@dataclass
class FakeTrainer:
    """Begins FakeRuns; after `limit` of them it refuses."""

    runs: list[FakeRun] = field(default_factory=list)
    limit: int = 100

    def check(self, params: Mapping[str, Any]) -> None: ...

    def begin(self, params: dict[str, Any], *, tuning: str | None = None) -> Any:
        if len(self.runs) == self.limit:
            raise ApiError("ResourceLimitExceeded", "no more instances")
        self.runs.append(FakeRun(request=params, tuning=tuning))
        return self.runs[-1]
