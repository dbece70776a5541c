"""status: lists everything of the stage with its state and its hourly cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from deploy.costs.prices import Prices
from deploy.costs.running import Ledger, Row
from deploy.jobs import running_job
from deploy.session import Session
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME

HEADINGS = ("kind", "name", "state", "detail", "USD/h", "since")


def status(session: Session) -> tuple[list[Row], str]:
    """A row for each resource and job of the stage, and their total cost in words. Changes nothing."""
    settings, call = session.settings, session.call
    ledger = Ledger(settings=settings, call=call, prices=Prices(call=call, region=settings.stage.region))
    rows = []
    for address in reversed(list(inventory(settings, call, say=session.screen.say))):
        kind, _, name = address.partition("/")
        if kind in running_job.NAMES:
            continue  # the ledger lists all jobs, also ended ones
        state, more = BY_NAME[kind].state(name, settings, call), ledger.of(kind, name)
        rows.append(Row(kind=kind, name=name, state=state, detail=more.detail, usd=more.usd, since=more.since))
    rows += ledger.jobs()
    return rows, bill(rows, ledger.prices.source)


def table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Rows under HEADINGS."""
    return [(row.kind, row.name, row.state, row.detail, _usd(row.usd), _time(row.since)) for row in rows]


def bill(rows: Sequence[Row], source: str) -> str:
    """The total cost in words."""
    costs = [row.usd for row in rows if row.usd]
    return f"{sum(costs):.3f} USD an hour now (prices: {source})" if costs else "nothing is billed by the hour now"


def _usd(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else ""
