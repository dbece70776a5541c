"""Preflight: before a command spends money, shows the price by the hour and refuses what a quota is too low for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.config.settings import Settings
from deploy.costs import bill, quotas
from deploy.costs.prices import Prices
from deploy.errors import DeployError
from deploy.jobs.request import JobRequest
from deploy.session import Session
from deploy.values import Plan

BILLED = ("endpoint", "endpoint-config", "concurrency")  # kinds of resources that change what is billed by the hour


def training(session: Session, job: JobRequest) -> None:
    """Before a training job starts (pains 8, 9). Raises DeployError for a quota that is too low."""
    _preflight(session, with_options(session.settings, job), "train", bill.training)


def tuning(session: Session) -> None:
    """Before a search on SageMaker starts. Raises DeployError for a quota that is too low."""
    _preflight(session, session.settings, "tune", bill.tuning)


def serving(session: Session, plan: Plan) -> None:
    """Before a plan runs that changes what is billed by the hour (pains 8–10). Raises DeployError for a quota that is
    too low."""
    if any(step.kind in BILLED for step in plan.changes):
        _preflight(session, session.settings, "deploy", bill.serving)


def preview(session: Session, plan: Plan) -> None:
    """The same for a plan that is only shown: a quota that is too low is shown too."""
    try:
        serving(session, plan)
    except DeployError as error:
        _show(session, str(error).splitlines())


def with_options(settings: Settings, job: JobRequest) -> Settings:
    """Settings whose [training] matches the job: options of the command line override deploy.toml."""
    training = settings.training
    if job.instance_type.startswith("ml."):
        changes = {"on": "sagemaker", "instance_type": job.instance_type, "instance_count": job.instance_count}
    elif job.instance_type == "local":
        changes = {"on": "local"}
    else:
        changes = {"on": "ec2", "ec2": training.ec2.model_copy(update={"instance_type": job.instance_type})}
    return settings.model_copy(update={"training": training.model_copy(update=changes)})


def _preflight(
    session: Session, settings: Settings, command: str, items: Callable[[Settings, Prices], tuple[bill.Item, ...]]
) -> None:
    quotas.require(session.call, settings, command)
    prices = Prices(call=session.call, region=settings.stage.region)
    billed = items(settings, prices)
    _show(session, bill.lines(billed, prices.source))


def _show(session: Session, lines: Iterable[str]) -> None:
    for line in lines:
        session.screen.say(f"   {line}")
