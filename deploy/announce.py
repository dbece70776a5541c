"""Before money is spent: what it costs by the hour is said, and a quota that is known to be too low ends it there."""

from __future__ import annotations

from deploy import bill, quotas
from deploy.prices import Prices
from deploy.session import Session


def training(session: Session, *, instance_count: int | None = None) -> None:
    """Said before a job is created (LESSONS 8, 9). Raises DeployError."""
    settings = session.settings
    quotas.require(session.call, settings, "train")
    prices = Prices(call=session.call, region=settings.stage.region)
    _say(session, bill.told(bill.training(settings, prices, instance_count=instance_count), prices.source))


def serving(session: Session, *, check_quotas: bool = True) -> None:
    """Said with a plan and before a deploy (LESSONS 8–10). Raises DeployError."""
    settings = session.settings
    if check_quotas:
        quotas.require(session.call, settings, "deploy")
    prices = Prices(call=session.call, region=settings.stage.region)
    _say(session, bill.told(bill.serving(settings, prices), prices.source))


def _say(session: Session, lines: list[str]) -> None:
    for line in lines:
        session.screen.say(f"   {line}")
