"""train: following a job on any backend, resuming it after interruptions; and which model is the newest."""

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
from deploy.jobs.latest import is_of, latest_job
from deploy.jobs.request import JobRequest
from deploy.jobs.training_job import TrainingJob
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

ARTIFACT = "s3://b/jobs/j/output/model.tar.gz"


@dataclass
class FakeBackend:
    """Each launch of a job writes one line and ends with the next of `endings`; `existing` is the job before that."""

    endings: list[TrainingJob]
    existing: TrainingJob | None = None
    started: int = 0
    lines: list[Line] = field(default_factory=list)

    def find_attempt(self, job: JobRequest) -> tuple[JobRequest, TrainingJob | None]:
        return job, self.existing

    def start(self, job: JobRequest) -> None:
        self.started += 1
        self.lines.append(Line(host="algo-1", text=f"launch {self.started}", when=self.started))

    def describe(self, name: str) -> TrainingJob | None:
        return self.endings[min(max(self.started, 1), len(self.endings)) - 1]

    def reader(self, name: str) -> FakeBackend:
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


COMPLETED = TrainingJob(name="j", status="Completed", artifact=ARTIFACT)
INTERRUPTED = TrainingJob(name="j", status="Stopped", secondary_status="Interrupted", failure_reason="taken away")
FAILED = TrainingJob(name="j", status="Failed", failure_reason="AlgorithmError: , exit code: 137")
STOPPED = TrainingJob(name="j", status="Stopped", secondary_status="Stopped")
TOO_LONG = TrainingJob(name="j", status="Stopped", secondary_status="MaxRuntimeExceeded")


def test_an_interrupted_job_resumes_and_its_lines_are_shown_once(settings: Settings) -> None:
    backend, here = FakeBackend(endings=[INTERRUPTED, INTERRUPTED, COMPLETED]), session(settings)
    result = run(here, backend, job(settings))
    assert (result.status, backend.started) == ("Completed", 3)
    shown = here.screen.out.getvalue()  # type: ignore[attr-defined]  # a StringIO, above
    assert [shown.count(f"launch {number}") for number in (1, 2, 3)] == [1, 1, 1]
    assert shown.count("the job resumes from its checkpoint on another machine") == 2


def test_a_job_that_is_interrupted_again_and_again_fails(settings: Settings) -> None:
    backend = FakeBackend(endings=[INTERRUPTED])
    with pytest.raises(JobError, match="taken away"):
        run(session(settings), backend, job(settings))
    assert backend.started == LAUNCHES


def test_a_completed_job_is_not_started_again(settings: Settings) -> None:
    backend = FakeBackend(endings=[COMPLETED], existing=COMPLETED)
    assert run(session(settings), backend, job(settings)).artifact == ARTIFACT
    assert backend.started == 0


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (FAILED, "out of memory"),
        (STOPPED, "resumes it from its checkpoint"),
        (TOO_LONG, "raise that in deploy.toml"),
    ],
)
def test_a_job_that_did_not_end_well_says_why(settings: Settings, ending: TrainingJob, message: str) -> None:
    with pytest.raises(JobError, match=message):
        run(session(settings), FakeBackend(endings=[ending]), job(settings))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": "moon"}, "--on: unknown; choose one of sagemaker, ec2, local"),
        ({"on": "sagmaker"}, "did you mean sagemaker"),
        ({"name": "Multi"}, "--name: 'Multi': use lower-case"),
        ({"name": "a--b"}, "--name"),
        ({"name": "x" * 21}, "--name"),
        ({"instances": -1}, "--instances: -1: choose 1 to 100"),
        ({"instances": 101}, "--instances: 101"),
        ({"on": "ec2", "instances": 4}, "ec2 trains on one machine"),
        ({"on": "local", "instances": 4}, "local trains on one machine"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_call(
    settings: Settings, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        checked(settings, **options)


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
def test_a_training_is_distinguished_from_others_whose_names_begin_alike(name: str, is_ours: bool) -> None:
    assert is_of("kennel-local-multi-", name) is is_ours


def record(status: str, hour: int) -> Any:
    when = datetime(2026, 11, 21, hour, tzinfo=UTC).isoformat()
    text = f'{{"TrainingJobName": "elsewhere", "TrainingJobStatus": "{status}", "CreationTime": "{when}"}}'
    return lambda _: {"Body": io.BytesIO(text.encode())}


def fakes(*, sagemaker: int | None = None, elsewhere: int | None = None, status: str = "Completed") -> FakeAws:
    """An account with a job of SageMaker and one that left a record in the bucket, created at these hours."""
    summaries = [{"TrainingJobName": "kennel-local-train-0123456789"}] if sagemaker else []
    made = datetime(2026, 11, 21, sagemaker or 0, tzinfo=UTC)
    key = "jobs/kennel-local-train-aaaaaaaaaa/job.json"
    contents = [{"Key": key, "LastModified": made}, {"Key": "jobs/x/output/model.tar.gz", "LastModified": made}]
    return FakeAws(
        {
            "ListTrainingJobs": {"TrainingJobSummaries": summaries},
            "DescribeTrainingJob": {
                "TrainingJobName": "on-sagemaker",
                "TrainingJobStatus": "Completed",
                "CreationTime": made,
            },
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
    newest = latest_job(settings, fakes(**jobs_there))
    assert (newest and newest.name) == served


def test_the_requests_for_the_newest_model_and_a_running_job_are_as_the_golden_files_say(
    settings: Settings, golden: Golden
) -> None:
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
    named = latest_job(settings, aws, job="elsewhere")
    assert named is not None
    assert named.name == "elsewhere"


def test_stopping_takes_the_running_job_and_says_when_there_is_none(settings: Settings) -> None:
    who = {"GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"}}
    running = FakeAws({**fakes(sagemaker=3).replies, **who})
    assert stop(session(settings, running)) == "kennel-local-train-0123456789"
    assert running.operations[-1] == "StopTrainingJob"
    with pytest.raises(JobError, match="no training called multi is running"):
        stop(session(settings, fakes()), purpose="multi")
