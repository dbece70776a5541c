"""train: one way of following a job wherever it runs, going on after interruptions; and which model is the newest."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.aws.logs import Line
from deploy.commands.train import LAUNCHES, checked, left_running, run, stop
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import JobError, SettingsError
from deploy.jobs import request as jobs
from deploy.jobs.backend import Description
from deploy.jobs.latest import is_of, latest_job
from deploy.jobs.request import JobRequest
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

ARTIFACT = {"ModelArtifacts": {"S3ModelArtifacts": "s3://b/jobs/j/output/model.tar.gz"}}


@dataclass
class FakePlace:
    """A place where a job ends as told, one ending a launch; each launch writes one line."""

    endings: list[dict[str, Any]]
    there: Description | None = None
    started: int = 0
    lines: list[Line] = field(default_factory=list)

    def take_up(self, job: JobRequest) -> tuple[JobRequest, Description | None]:
        return job, self.there

    def start(self, job: JobRequest) -> None:
        self.started += 1
        self.lines.append(Line(host="algo-1", text=f"launch {self.started}", when=self.started))

    def describe(self, name: str) -> Description | None:
        ending = self.endings[min(max(self.started, 1), len(self.endings)) - 1]
        return {"TrainingJobName": name, **ending}

    def reader(self, name: str) -> FakePlace:
        return self

    def read(self) -> Iterator[Line]:
        while self.lines:
            yield self.lines.pop(0)

    def stop(self, name: str) -> None:
        raise NotImplementedError


def session(settings: Settings, aws: FakeAws | None = None) -> Session:
    who = {"GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}}
    return Session(
        settings=settings, call=aws or FakeAws(who), build=lambda kind: f"kennel/{kind}:1",
        screen=Screen(out=io.StringIO()), clock=FakeTime().clock(),
    )  # fmt: skip


def job(settings: Settings) -> JobRequest:
    return jobs.request(settings, image="kennel/train:1", data="s3://b/data/x/", data_hash="abc")


COMPLETED = {"TrainingJobStatus": "Completed", **ARTIFACT}
INTERRUPTED = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Interrupted", "FailureReason": "taken away"}
FAILED = {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: , exit code: 137"}
STOPPED = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
TOO_LONG = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}


def test_an_interrupted_job_goes_on_and_its_lines_are_told_once(settings: Settings) -> None:
    place, asked = FakePlace(endings=[INTERRUPTED, INTERRUPTED, COMPLETED]), session(settings)
    result = run(asked, place, job(settings))
    assert (result.status, place.started) == ("Completed", 3)
    said = asked.screen.out.getvalue()  # type: ignore[attr-defined]  # a StringIO, above
    assert [said.count(f"launch {number}") for number in (1, 2, 3)] == [1, 1, 1]
    assert said.count("goes on from its checkpoint") == 2


def test_a_job_that_is_interrupted_for_ever_is_given_up(settings: Settings) -> None:
    place = FakePlace(endings=[INTERRUPTED])
    with pytest.raises(JobError, match="taken away"):
        run(session(settings), place, job(settings))
    assert place.started == LAUNCHES


def test_what_is_done_already_is_not_started_again(settings: Settings) -> None:
    place = FakePlace(endings=[COMPLETED], there=COMPLETED)
    assert run(session(settings), place, job(settings)).artifact == "s3://b/jobs/j/output/model.tar.gz"
    assert place.started == 0


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (FAILED, "out of memory"),
        (STOPPED, "goes on from its checkpoint"),
        (TOO_LONG, "raise that in deploy.toml"),
    ],
)
def test_a_job_that_did_not_end_well_says_why(settings: Settings, ending: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said):
        run(session(settings), FakePlace(endings=[ending]), job(settings))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"on": "moon"}, "--on: unknown; choose one of sagemaker, ec2, local"),
        ({"on": "sagmaker"}, "did you mean sagemaker"),
        ({"name": "Multi"}, "--name: 'Multi': lower-case"),
        ({"name": "a--b"}, "--name"),
        ({"name": "x" * 21}, "--name"),
        ({"instances": -1}, "--instances: -1: from 1 to 100"),
        ({"instances": 101}, "--instances: 101"),
        ({"on": "ec2", "instances": 4}, "ec2 is one machine"),
        ({"on": "local", "instances": 4}, "local is one machine"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_call(
    settings: Settings, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        checked(settings, **asked)


def test_the_settings_say_where_unless_the_command_line_does(settings: Settings) -> None:
    assert checked(settings) == "sagemaker"
    assert checked(settings, on="local", name="multi-large") == "local"


def test_ctrl_c_says_what_it_left() -> None:
    assert "--stop" in left_running("sagemaker")
    assert "checkpoint" in left_running("local")


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("kennel-local-multi-0123456789", True),
        ("kennel-local-multi-0123456789-2", True),
        ("kennel-local-multi-large-0123456789", False),
        ("my-kennel-local-multi-0123456789", False),
    ],
)
def test_a_training_is_told_from_others_whose_names_begin_alike(name: str, is_ours: bool) -> None:
    assert is_of("kennel-local-multi-", name) is is_ours


def record(status: str, hour: int) -> Any:
    when = datetime(2026, 11, 21, hour, tzinfo=UTC).isoformat()
    text = f'{{"TrainingJobName": "elsewhere", "TrainingJobStatus": "{status}", "CreationTime": "{when}"}}'
    return lambda _: {"Body": io.BytesIO(text.encode())}


def fakes(*, sagemaker: int | None = None, elsewhere: int | None = None, status: str = "Completed") -> FakeAws:
    """Jobs that were made at those hours: one of SageMaker, one that left a record in the bucket."""
    summaries = [{"TrainingJobName": "kennel-local-train-0123456789"}] if sagemaker else []
    made = datetime(2026, 11, 21, sagemaker or 0, tzinfo=UTC)
    key = "jobs/kennel-local-train-aaaaaaaaaa/job.json"
    contents = [{"Key": key, "LastModified": made}, {"Key": "jobs/x/output/model.tar.gz", "LastModified": made}]
    return FakeAws(
        {
            "ListTrainingJobs": {"TrainingJobSummaries": summaries},
            "DescribeTrainingJob": {"TrainingJobName": "on-sagemaker", "CreationTime": made},
            "ListObjectsV2": {"Contents": contents if elsewhere else []},
            "GetObject": record(status, elsewhere or 0),
        }
    )


@pytest.mark.parametrize(
    ("jobs_there", "served"),
    [
        ({"sagemaker": 3}, "on-sagemaker"),
        ({"elsewhere": 3}, "elsewhere"),
        ({"sagemaker": 3, "elsewhere": 4}, "elsewhere"),
        ({"sagemaker": 5, "elsewhere": 4}, "on-sagemaker"),
        ({"sagemaker": 3, "elsewhere": 4, "status": "Failed"}, "on-sagemaker"),
        ({}, None),
    ],
)
def test_the_newest_model_is_served_wherever_it_was_trained(
    settings: Settings, jobs_there: dict[str, Any], served: str | None
) -> None:
    found = latest_job(settings, fakes(**jobs_there))
    assert (found and found["TrainingJobName"]) == served


def test_what_is_asked_for_the_newest_model_and_a_running_job_is_recorded(settings: Settings, golden: Golden) -> None:
    aws = fakes(sagemaker=3, elsewhere=4)
    latest_job(settings, aws)
    for request in aws.sent:
        golden("newest-model", request)
    nothing = fakes()
    with pytest.raises(JobError):
        stop(session(settings, nothing))
    golden("running", nothing.sent[0])


def test_without_a_bucket_nothing_was_trained(settings: Settings) -> None:
    aws = FakeAws({"ListTrainingJobs": {"TrainingJobSummaries": []}, "HeadBucket": refusal("404")})
    assert latest_job(settings, aws) is None


def test_a_named_job_is_found_on_sagemaker_or_among_the_records(settings: Settings) -> None:
    aws = FakeAws({"DescribeTrainingJob": refusal("ValidationException", "Requested resource not found."),
                   "GetObject": record("Completed", 3)})  # fmt: skip
    found = latest_job(settings, aws, job="elsewhere")
    assert found is not None
    assert found["TrainingJobName"] == "elsewhere"


def test_stopping_takes_the_running_job_and_says_when_there_is_none(settings: Settings) -> None:
    who = {"GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}}
    running = FakeAws({**fakes(sagemaker=3).replies, **who})
    assert stop(session(settings, running)) == "kennel-local-train-0123456789"
    assert running.operations[-1] == "StopTrainingJob"
    with pytest.raises(JobError, match="no training called multi runs"):
        stop(session(settings, fakes()), purpose="multi")
