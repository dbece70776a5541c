"""`down` stops running jobs; a tuning job stops its own trials."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.jobs import running_job
from deploy.planning.apply import apply
from deploy.values import Call, Plan, Request, Wait
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

KINDS = {kind.name: kind for kind in running_job.KINDS}


def listed(noun: str, *names: str) -> dict[str, Any]:
    items = "TrainingJobSummaries" if noun == "TrainingJob" else f"{noun}Summaries"
    return {f"List{noun}s": {items: [{f"{noun}Name": name} for name in names]}}


@pytest.mark.parametrize(
    ("kind", "noun"),
    [
        ("tuning-job", "HyperParameterTuningJob"),
        ("training-job", "TrainingJob"),
        ("transform-job", "TransformJob"),
    ],
)
def test_a_running_job_is_listed_and_stopped(settings: Settings, golden: Golden, kind: str, noun: str) -> None:
    aws = FakeAws(listed(noun, "kennel-local-x-1", "kennel-locally-1"))
    assert list(KINDS[kind].names(settings, aws)) == ["kennel-local-x-1"]
    step = KINDS[kind].remove("kennel-local-x-1", settings)
    assert step.action == "delete"
    for request in (*aws.sent, *(act.request if isinstance(act, Wait) else act for act in step.acts)):
        assert isinstance(request, Request)
        golden("down", request)


def test_trials_of_a_tuning_job_are_left_to_it(settings: Settings) -> None:
    aws = FakeAws(listed("TrainingJob", "kennel-local-tune-0123abcd-001-89abcdef", "kennel-local-train-0123456789"))
    assert list(KINDS["training-job"].names(settings, aws)) == ["kennel-local-train-0123456789"]


def test_a_job_that_has_ended_meanwhile_is_as_good_as_stopped(settings: Settings) -> None:
    ended = "The request was rejected because the training job is in status Completed."
    aws = FakeAws(
        {
            "StopTrainingJob": refusal("ValidationException", ended),
            "DescribeTrainingJob": {"TrainingJobStatus": "Completed"},
        }
    )
    call: Call = aws
    apply(Plan(steps=(KINDS["training-job"].remove("j", settings),)), call, clock=FakeTime().clock())
    assert aws.operations == ["StopTrainingJob", "DescribeTrainingJob"]
