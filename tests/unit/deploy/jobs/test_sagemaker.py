"""Training jobs: the request, its name, taking one up again, and following it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract import metrics
from deploy.config.settings import Settings
from deploy.errors import JobError, SettingsError
from deploy.jobs import request as jobs
from deploy.jobs import sagemaker
from deploy.jobs.request import JobRequest
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
def test_a_job_is_taken_up_where_it_stands(settings: Settings, statuses: list[str], suffix: str, is_new: bool) -> None:
    aws = FakeAws({"DescribeTrainingJob": [*({"TrainingJobStatus": status} for status in statuses), MISSING]})
    wanted = job(settings)
    taken, found = sagemaker.attempt(wanted, aws)
    assert taken.name == wanted.name + suffix
    assert (found is None) is is_new


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


def test_following_tells_each_line_and_status_and_ends_with_the_numbers() -> None:
    lines = [["hello", "kennel epoch=1 valid_top1=0.5"], [], ["kennel epoch=2 valid_top1=0.75"]]
    done = described("Completed", "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://b/jobs/j/output/model.tar.gz"})
    aws = cloud(described("InProgress", "Downloading"), described("InProgress", "Training"), done, lines=lines)
    said, moved = list[str](), list[str]()
    result = sagemaker.follow(
        "j", aws, clock=FakeTime().clock(), line=lambda line: said.append(f"{line.host} {line.text}"),
        status=lambda status, _: moved.append(status),
    )  # fmt: skip
    assert said[0] == "algo-1 hello"
    assert moved == ["Downloading", "Training", "Completed"]
    assert result.metrics == {"epoch": 2, "valid_top1": 0.75}
    assert result.reports == "s3://b/jobs/j/output/output.tar.gz"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("AlgorithmError: two classes or more are needed, exit code: 2", "two classes or more"),
        ("CapacityError: Unable to provision", "no such instance free now"),
        ("AlgorithmError: , exit code: 137", "out of memory"),
    ],
)
def test_a_failed_job_says_why_in_plain_words_and_what_to_do(reason: str, said: str) -> None:
    aws = cloud(described("Failed", "Failed", FailureReason=reason), lines=[])
    with pytest.raises(JobError, match=rf"(?s){said}.*./inv logs j"):
        sagemaker.follow("j", aws, clock=FakeTime().clock())


def test_the_last_lines_of_a_job_that_has_ended_are_not_lost() -> None:
    done = described("Completed", "Completed", ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"})
    said: list[str] = []
    aws = cloud(done, lines=[["last words"]])
    sagemaker.follow("j", aws, clock=FakeTime().clock(), line=lambda line: said.append(line.text))
    assert said == ["last words"]
