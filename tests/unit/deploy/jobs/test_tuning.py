"""Tuning jobs: their requests as golden files, what is refused before the first request, and following a search."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.commands import tune as command
from deploy.config.settings import Settings
from deploy.config.training import Tuning
from deploy.console import Screen
from deploy.errors import DeployError, JobError, SettingsError
from deploy.jobs import tuning
from deploy.jobs.request import JobRequest
from deploy.jobs.tuning import Search, Trial
from deploy.session import Session
from deploy.values import Ref
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, Reply, refusal
from tests.unit.deploy.jobs.test_training_requests import made

NAME = "kennel-local-tune-0123abcd"
BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def searched(settings: Settings, **changes: Any) -> Settings:
    """The settings with [tuning] changed; its keys are checked as those of deploy.toml are."""
    given = settings.tuning.model_dump() | changes
    return settings.model_copy(update={"tuning": Tuning.model_validate(given)})


def job(settings: Settings, **training: Any) -> JobRequest:
    return made(settings, training)


MIXED = {
    "learning_rate": {"min": 0.0003, "max": 0.03, "scale": "log"},
    "epochs": {"min": 2, "max": 9},
    "batch_size": {"values": [32, 64]},
    "freeze_backbone": {"values": [True, False]},
    "optimizer": {"values": ["sgd", "adamw"]},
}
GRID = {"batch_size": {"values": [32, 64]}, "optimizer": {"values": ["sgd", "adamw"]}}
SEARCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bayesian": ({}, {}),
    "every-kind-of-range": ({"ranges": MIXED, "early_stopping": True}, {}),
    "grid": ({"strategy": "Grid", "ranges": GRID}, {}),
    "warm-start": ({"warm_start": NAME, "direction": "Minimize", "objective": "valid:loss"}, {}),
    "spot": ({"strategy": "Random"}, {"spot": True, "keep_alive_minutes": 0}),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_each_search_becomes_the_request_of_its_golden_file(settings: Settings, golden: Golden, name: str) -> None:
    changes, training = SEARCHES[name]
    chosen = searched(settings, **changes)
    tuning.check(chosen)
    golden(name, tuning.create(chosen, job(settings, **training), NAME), rules=(4, 11, 18, 19))


def test_the_requests_about_a_tuning_job_are_as_the_golden_files_say(settings: Settings, golden: Golden) -> None:
    aws = FakeAws({"DescribeHyperParameterTuningJob": {"HyperParameterTuningJobStatus": "InProgress"}})
    tuning.describe(NAME, aws)
    tuning.trials(NAME, settings.tuning, aws)
    for request in (*aws.sent, tuning.stop(NAME), tuning.running(settings)):
        golden("tuning", request)


def test_a_range_goes_before_a_fixed_value_and_trials_keep_no_warm_pool(settings: Settings) -> None:
    params = tuning.create(settings, job(settings, keep_alive_minutes=30), NAME).params
    definition = params["TrainingJobDefinition"]
    assert "batch_size" not in definition["StaticHyperParameters"]
    assert definition["StaticHyperParameters"]["epochs"] == "15"
    assert "KeepAlivePeriodInSeconds" not in definition["ResourceConfig"]
    assert definition["RoleArn"] == Ref(address="role/kennel-local-training", attribute="arn")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ranges": {}}, "tuning.ranges: empty"),
        ({"ranges": {"batch_size": {"values": [32, 1.5]}}}, "1.5 is not a whole number"),
        ({"ranges": {"batch_size": {"values": [32, True]}}}, "True is not a whole number"),
        ({"ranges": {"freeze_backbone": {"values": [1]}}}, "1 is not true or false"),
        ({"ranges": {"optimizer": {"values": [7]}}}, "7 is not text"),
        ({"ranges": {"learning_rate": {"values": ["fast"]}}}, "'fast' is not a number"),
        ({"ranges": {"epochs": {"min": 1.5, "max": 9}}}, "1.5 is not a whole number"),
        ({"ranges": {"learning_rate": {"min": 0.1, "max": float("inf")}}}, "inf is not a number"),
        ({"ranges": {"batch_size": {"values": [32, 0]}}}, "tuning.ranges.batch_size=0: must be at least 1"),
        ({"ranges": {"optimizer": {"values": ["adam"]}}}, "optimizer='adam': must be one of sgd, adamw"),
        ({"ranges": {"momentum": {"min": 0.5, "max": 1}}}, "momentum=1: must be at least 0 and at most 0.9999"),
        ({"ranges": {"optimizer": {"min": 0, "max": 1}}}, "is text, so give values"),
        ({"ranges": {"batch_size": {"values": [32, 32]}}}, "each once"),
        ({"ranges": {"seed": {"values": list(range(31))}}}, "at most 30 values"),
        ({"strategy": "Grid"}, "Grid takes values only"),
        ({"objective": "valid:f1"}, "'valid:f1': unknown"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_the_first_request(
    settings: Settings, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        command.checked(searched(settings, **changes), "sagemaker")


def test_a_tuning_job_takes_fewer_variables_than_a_training_job(settings: Settings) -> None:
    training = settings.training.model_copy(update={"environment": {f"V{n}": "" for n in range(49)}})
    with pytest.raises(SettingsError, match="takes 48"):
        tuning.check(settings.model_copy(update={"training": training}))


def test_where_to_search_follows_from_where_to_train(settings: Settings) -> None:
    here = settings.model_copy(update={"training": settings.training.model_copy(update={"on": "local"})})
    assert [command.checked(each, "") for each in (settings, here)] == ["sagemaker", "local"]
    with pytest.raises(SettingsError, match="sagemaker, local"):
        command.checked(settings, "ec2")


def test_the_name_follows_from_what_is_searched_and_fits(settings: Settings) -> None:
    names = {
        tuning.name_of(searched(settings, **changes), job(settings, **training))
        for changes, training in (({}, {}), ({"max_jobs": 9}, {}), ({}, {"instance_count": 1}))
    }
    assert len(names) == 3
    assert all(len(name) <= tuning.LONGEST - 2 for name in names)
    long = settings.model_copy(update={"stage_name": "a-stage-of-some-size"})
    with pytest.raises(SettingsError, match="may have 18"):
        tuning.name_of(long, job(settings))


def test_trials_are_ranked_and_those_without_an_objective_come_last() -> None:
    trials = [
        Trial(job=name, status="Completed", values={"rate": "0.012345"}, objective=value)
        for name, value in (("a", 0.5), ("b", None), ("c", 0.9))
    ]
    assert [each.job for each in tuning.ranked(trials, maximise=True)] == ["c", "a", "b"]
    assert [each.job for each in tuning.ranked(trials, maximise=False)] == ["a", "c", "b"]
    assert tuning.table(trials)[0] == ("1", "0.5", "0", "Completed", "rate=0.01235", "a")
    assert tuning.table(trials)[1][:2] == ("-", "-")


def test_a_script_reads_numbers() -> None:
    search = Search(
        name="s", status="Completed", trials=(Trial(job="a", status="Completed", values={}, objective=0.5),)
    )
    read = json.loads(search.to_json())
    assert (read["name"], read["trials"][0]["objective"]) == ("s", 0.5)


def summary(number: int, status: str, value: float | None = None) -> dict[str, Any]:
    objective = {"Type": "Maximize", "MetricName": "valid:top1", "Value": value}
    return {
        "TrainingJobName": f"{NAME}-{number:03d}",
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"batch_size": "32"},
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(seconds=90),
        **({"FinalHyperParameterTuningJobObjectiveMetric": objective} if value is not None else {}),
    }


class Followed:
    """tune over an AWS in memory."""

    def __init__(self, settings: Settings, *statuses: str, **replies: Reply) -> None:
        bucket = {"Contents": [{"Key": "data/x/train/a/1.jpg", "ETag": '"1"', "Size": 1, "LastModified": BEGAN}]}
        described = [{"HyperParameterTuningJobStatus": status} for status in statuses]
        missing = refusal("ResourceNotFound", "can't find a tuning job with the name")
        self.aws = FakeAws(
            {
                "ListObjectsV2": bucket,
                "DescribeHyperParameterTuningJob": [*([missing] if len(statuses) > 1 else []), *described],
                "ListTrainingJobsForHyperParameterTuningJob": {
                    "TrainingJobSummaries": [
                        summary(1, "Completed", 0.5), summary(2, "Failed"), summary(3, "Completed", 0.8),
                    ]
                },
                "DescribeTrainingJob": {
                    "TrainingJobName": f"{NAME}-003", "TrainingJobStatus": "Completed",
                    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/jobs/best/output/model.tar.gz"},
                },
                "GetObject": refusal("NoSuchKey"),
                **replies,
            }
        )  # fmt: skip
        self.output = io.StringIO()
        self.session = Session(
            settings=settings, call=self.aws, build=lambda kind: f"kennel/{kind}:1", screen=Screen(out=self.output),
            clock=FakeTime().clock(),
        )  # fmt: skip
        self.session._is_locked = True

    def sent(self, operation: str) -> list[dict[str, Any]]:
        return [dict(request.params) for request in self.aws.sent if request.operation == operation]


def test_a_completed_search_does_not_run_again_and_its_best_is_registered_as_tuned(settings: Settings) -> None:
    followed = Followed(settings, "Completed")
    result = command.tune(followed.session, "x")
    assert result.best is not None
    assert (result.best.job, result.best.objective) == (f"{NAME}-003", 0.8)
    assert [each.job[-3:] for each in result.trials] == ["003", "001", "002"]
    assert followed.sent("CreateHyperParameterTuningJob") == []
    (record,) = followed.sent("PutObject")
    assert record["Key"].startswith("jobs/kennel-local-tuned-")
    assert b"s3://b/jobs/best/output/model.tar.gz" in record["Body"]
    assert "already completed, not started again" in followed.output.getvalue()


def test_a_search_without_an_objective_fails_with_the_reason(settings: Settings) -> None:
    nothing = {"TrainingJobSummaries": [summary(1, "Failed")]}
    failed = {"HyperParameterTuningJobStatus": "Completed", "FailureReason": "No training job succeeded"}
    followed = Followed(
        settings,
        "Completed",
        ListTrainingJobsForHyperParameterTuningJob=nothing,
        DescribeHyperParameterTuningJob=failed,
    )
    with pytest.raises(JobError, match="No training job succeeded"):
        command.tune(followed.session, "x")


def test_without_pictures_nothing_starts(settings: Settings) -> None:
    followed = Followed(settings, "Completed", ListObjectsV2={})
    with pytest.raises(DeployError, match="no pictures yet"):
        command.tune(followed.session, "x")


def test_the_newest_running_search_is_stopped(settings: Settings) -> None:
    names = (f"x-{NAME}", NAME)  # AWS finds the prefix in the middle of a name too
    listed = {"HyperParameterTuningJobSummaries": [{"HyperParameterTuningJobName": name} for name in names]}
    followed = Followed(settings, "InProgress", ListHyperParameterTuningJobs=listed)
    assert command.stop(followed.session) == NAME
    assert followed.sent("StopHyperParameterTuningJob") == [{"HyperParameterTuningJobName": NAME}]
    with pytest.raises(JobError, match="no tuning job is running"):
        command.stop(Followed(settings, "InProgress").session)
