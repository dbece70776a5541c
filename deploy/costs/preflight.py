"""Before money is spent: what it costs by the hour is said, and a quota that is known to be too low ends it there."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.costs import bill, quotas
from deploy.costs.prices import Prices
from deploy.errors import DeployError
from deploy.jobs.request import JobRequest
from deploy.session import Session
from deploy.values import Plan

PAID = ("endpoint", "endpoint-config", "concurrency")  # kinds of resources that are paid by the hour


def training(session: Session, job: JobRequest) -> None:
    """Said before a job is begun (pains 8, 9). Raises DeployError."""
    settings = as_asked(session.settings, job)
    quotas.require(session.call, settings, "train")
    prices = Prices(call=session.call, region=settings.stage.region)
    _say(session, bill.told(bill.training(settings, prices), prices.source))


def tuning(session: Session) -> None:
    """Said before a search on SageMaker is begun. Raises DeployError."""
    settings = session.settings
    quotas.require(session.call, settings, "tune")
    prices = Prices(call=session.call, region=settings.stage.region)
    _say(session, bill.told(bill.tuning(settings, prices), prices.source))


def serving(session: Session, todo: Plan) -> None:
    """Said before a plan is run that makes or changes what is paid by the hour (pains 8–10). Raises DeployError."""
    if not any(step.kind in PAID for step in todo.changes):
        return
    settings = session.settings
    quotas.require(session.call, settings, "deploy")
    prices = Prices(call=session.call, region=settings.stage.region)
    _say(session, bill.told(bill.serving(settings, prices), prices.source))


def foreseen(session: Session, todo: Plan) -> None:
    """The same for a plan that is only shown: what would end it is said."""
    try:
        serving(session, todo)
    except DeployError as error:
        _say(session, str(error).splitlines())


def as_asked(settings: Settings, job: JobRequest) -> Settings:
    """Settings whose [training] is as the job has it: options of the command line go before deploy.toml."""
    training = settings.training
    if job.instance_type.startswith("ml."):
        changes = {"on": "sagemaker", "instance_type": job.instance_type, "instance_count": job.instance_count}
    elif job.instance_type == "local":
        changes = {"on": "local"}
    else:
        changes = {"on": "ec2", "ec2": training.ec2.model_copy(update={"instance_type": job.instance_type})}
    return settings.model_copy(update={"training": training.model_copy(update=changes)})


def _say(session: Session, lines: list[str]) -> None:
    for line in lines:
        session.screen.say(f"   {line}")
