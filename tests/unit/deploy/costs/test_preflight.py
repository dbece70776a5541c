"""Preflight shows what a command will cost; a quota that is too low stops the command before it starts."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest

from deploy.config.endpoint import Endpoint
from deploy.config.function import Function
from deploy.config.settings import Settings
from deploy.config.training import Training, Tuning
from deploy.console import Screen
from deploy.costs import preflight
from deploy.errors import DeployError
from deploy.jobs.request import JobRequest
from deploy.session import Session
from deploy.values import Plan, Step
from tests.unit.deploy.fakes import FakeAws

JOB = JobRequest(
    name="j", image="i", hyperparameters={}, channels={}, output="s3://b/o", checkpoints="s3://b/c", role="r",
    instance_type="ml.m5.xlarge", instance_count=4,
)  # fmt: skip
PLAN = Plan(steps=(Step(action="create", address="endpoint/kennel-local", reason="does not exist"),))


def session_with(settings: Settings, **quotas: float) -> Session:
    listed = [{"QuotaCode": f"L-{name}", "QuotaName": name, "Value": value} for name, value in quotas.items()]
    plain: dict[str, Any] = {"training": Training(), "endpoint": Endpoint(), "function": Function()}
    plain |= {"tuning": Tuning()}
    return Session(
        settings=settings.model_copy(update=plain),
        call=FakeAws({"ListServiceQuotas": {"Quotas": listed}, "GetProducts": {"PriceList": []}}),
        build=str,
        screen=Screen(out=io.StringIO()),
    )


def shown(session: Session) -> list[str]:
    return [line.strip() for line in session.screen.out.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_job_says_what_it_costs_with_the_options_of_the_command_line(settings: Settings) -> None:
    session = session_with(settings)
    preflight.training(session, JOB)
    assert shown(session)[0] == "training: 4 × ml.m5.xlarge, 0.920 USD an hour while it runs, 60 minutes at most"


@pytest.mark.parametrize(("kind", "first"), [("g5.xlarge", ["training: 1 × g5.xlarge, 1.006 USD"]), ("local", [])])
def test_a_job_on_ec2_costs_its_instance_and_a_local_one_nothing(
    settings: Settings, kind: str, first: list[str]
) -> None:
    session = session_with(settings)
    preflight.training(session, replace(JOB, instance_type=kind, instance_count=1))
    assert [line[: len(text)] for line, text in zip(shown(session), first, strict=False)] == first
    assert bool(shown(session)) == bool(first)


def test_a_search_says_what_its_trials_cost_together(settings: Settings) -> None:
    session = session_with(settings)
    preflight.tuning(session)
    assert shown(session)[0].startswith(
        "tuning: 2 × ml.m5.xlarge, 0.460 USD an hour while 2 trials run at once, 8 in all"
    )
    with pytest.raises(DeployError, match="is 1, and 2 is needed"):
        preflight.tuning(session_with(settings, **{"ml.m5.xlarge for training job usage": 1.0}))


def test_a_job_beyond_the_quota_does_not_start(settings: Settings) -> None:
    session = session_with(settings, **{"ml.m5.xlarge for training job usage": 3.0})
    with pytest.raises(DeployError, match="is 3, and 4 is needed"):
        preflight.training(session, JOB)


def test_a_deploy_says_what_goes_on_costing_only_when_that_changes(settings: Settings) -> None:
    session = session_with(settings)
    preflight.serving(session, Plan(steps=(replace(PLAN.steps[0], action="none"),)))
    preflight.serving(session, Plan(steps=(replace(PLAN.steps[0], address="role/x"),)))
    assert shown(session) == []
    preflight.serving(session, PLAN)
    assert shown(session)[0] == "endpoint kennel-local: 1 × ml.m5.large, 0.115 USD an hour until ./inv down"


def test_a_preview_shows_a_quota_that_is_too_low(settings: Settings) -> None:
    session = session_with(settings, **{"ml.m5.large for endpoint usage": 0.0})
    with pytest.raises(DeployError, match=r"ml.m5.large for endpoint usage: is 0"):
        preflight.serving(session, PLAN)
    preflight.preview(session, PLAN)
    assert "ml.m5.large for endpoint usage: is 0, and 1 is needed" in shown(session)[0]
