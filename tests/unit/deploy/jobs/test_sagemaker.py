"""Training jobs on SageMaker: the request, the job's name, its attempts, and following it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract import metrics
from deploy.config.settings import Settings
from deploy.errors import JobError, SettingsError
from deploy.jobs import request as jobs
from deploy.jobs import sagemaker
from deploy.jobs.backend import follow
from deploy.jobs.request import JobRequest
from deploy.jobs.sagemaker import SageMakerBackend
from deploy.values import Ref
from localcloud.gateway.validation import validate
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

DATA = "s3://kennel-local-123456789012-us-east-1/data/groceries/"
MISSING = refusal("ValidationException", "Requested resource not found.")


def job(settings: Settings, **changed: Any) -> JobRequest:
    return jobs.request(settings, **{"image": "kennel/train:1", "data": DATA, "data_hash": "abc", **changed})


def test_the_request_is_one_that_aws_takes(settings: Settings) -> None:
    made = sagemaker.create(job(settings, weights=DATA))
    params = {**made.params, "RoleArn": "arn:aws:iam::123456789012:role/kennel-local-training"}
    validate("sagemaker", "CreateTrainingJob", params)
    assert [channel["ChannelName"] for channel in made.params["InputDataConfig"]] == ["training", "weights"]
    assert made.params["AlgorithmSpecification"]["MetricDefinitions"] == metrics.definitions()
    assert made.params["RoleArn"] == Ref(address="role/kennel-local-training", attribute="arn")


def test_a_spot_job_may_wait_and_an_ordinary_one_may_not(settings: Settings) -> None:
    training = settings.training.model_copy(update={"spot": True})
    spot = sagemaker.create(job(settings.model_copy(update={"training": training})))
    assert spot.params["EnableManagedSpotTraining"] is True
    assert spot.params["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    ordinary = sagemaker.create(job(settings))
    assert ordinary.params["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}  # rule 17: no wait without spot


def test_hyperparameters_are_strings_that_training_reads_back(settings: Settings) -> None:
    from train.config import from_hyperparameters

    values = job(settings, overrides={"freeze_backbone": False, "learning_rate": 0.5}).hyperparameters
    assert all(isinstance(value, str) for value in values.values())
    read = from_hyperparameters(values)
    assert (read.freeze_backbone, read.learning_rate, read.model) == (False, 0.5, "resnet50")


def test_a_hyperparameter_too_long_for_sagemaker_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="256 characters"):
        job(settings, overrides={"weights": "x" * 257})


def test_the_name_follows_from_what_decides_the_model(settings: Settings) -> None:
    names = [
        job(settings, **changed).name
        for changed in (
            {}, {"image": "kennel/train:2"}, {"data_hash": "def"}, {"overrides": {"seed": 1}}, {"purpose": "baseline"},
        )
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert job(settings).name == names[0]
    assert re.fullmatch(r"kennel-local-train-[0-9a-f]{10}", names[0])


@pytest.mark.parametrize(
    ("statuses", "suffix", "is_new"),
    [
        ([], "", True),
        (["Completed"], "", False),
        (["InProgress"], "", False),
        (["Failed"], "-2", True),
        (["Failed", "Stopped"], "-3", True),
        (["Failed", "InProgress"], "-2", False),
    ],
)
def test_a_job_that_failed_gets_a_new_attempt_and_any_other_is_reused(
    settings: Settings, statuses: list[str], suffix: str, is_new: bool
) -> None:
    aws = FakeAws({"DescribeTrainingJob": [*(described(status, status) for status in statuses), MISSING]})
    base = job(settings)
    attempt, state = sagemaker.attempt(base, aws)
    assert attempt.name == base.name + suffix
    assert (state is None) is is_new


def described(status: str, secondary: str, **more: Any) -> dict[str, Any]:
    return {"TrainingJobName": "j", "TrainingJobStatus": status, "SecondaryStatus": secondary, **more}


def cloud(*descriptions: dict[str, Any], lines: list[list[str]]) -> FakeAws:
    """Descriptions in turn, and the log's lines in turn."""
    waiting = list(lines)

    def events(_: Any) -> dict[str, Any]:
        now = waiting.pop(0) if waiting else []
        stream = {"logStreamName": "j/algo-1-1700000000", "timestamp": 1}
        return {"events": [{"message": text, "eventId": text, **stream} for text in now]}

    return FakeAws({"DescribeTrainingJob": list(descriptions), "FilterLogEvents": events})


def test_following_passes_on_each_line_and_status_and_returns_the_metrics() -> None:
    lines = [["hello", "kennel epoch=1 valid_top1=0.5"], [], ["kennel epoch=2 valid_top1=0.75"]]
    done = described("Completed", "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://b/jobs/j/output/model.tar.gz"})
    aws = cloud(described("InProgress", "Downloading"), described("InProgress", "Training"), done, lines=lines)
    written, statuses = list[str](), list[str]()
    result = follow(
        "j", SageMakerBackend(call=aws), clock=FakeTime().clock(),
        on_line=lambda line: written.append(f"{line.host} {line.text}"),
        on_status=lambda status, _: statuses.append(status),
    )  # fmt: skip
    assert written[0] == "algo-1 hello"
    assert statuses == ["Downloading", "Training", "Completed"]
    assert result.metrics == {"epoch": 2, "valid_top1": 0.75}
    assert result.reports == "s3://b/jobs/j/output/output.tar.gz"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("AlgorithmError: two classes or more are needed, exit code: 2", "two classes or more"),
        ("CapacityError: Unable to provision", "no such instance free now"),
        ("AlgorithmError: , exit code: 137", "out of memory"),
    ],
)
def test_a_failed_job_says_why_in_plain_words_and_what_to_do(reason: str, message: str) -> None:
    aws = cloud(described("Failed", "Failed", FailureReason=reason), lines=[])
    with pytest.raises(JobError, match=rf"(?s){message}.*./inv logs j"):
        follow("j", SageMakerBackend(call=aws), clock=FakeTime().clock())


def test_the_last_lines_of_a_job_that_has_ended_are_not_lost() -> None:
    done = described("Completed", "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"})
    written: list[str] = []
    aws = cloud(done, lines=[["last words"]])
    follow("j", SageMakerBackend(call=aws), clock=FakeTime().clock(), on_line=lambda line: written.append(line.text))
    assert written == ["last words"]
