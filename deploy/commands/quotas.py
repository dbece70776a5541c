"""quotas: what deploy.toml needs of the account, what the account has, and asking AWS for more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import service_quotas
from deploy.costs import quotas as pure
from deploy.costs.quotas import Row
from deploy.errors import AwsError
from deploy.session import Session

HEADINGS = ("verb", "quota", "needed", "has", "verdict", "why")
OPEN = ("PENDING", "CASE_OPENED")


def quotas(session: Session) -> tuple[Row, ...]:
    """Every need of deploy.toml beside the account's quota. Changes nothing."""
    return pure.compare(session.call, pure.needs(session.settings))


def table(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Rows under HEADINGS; what the account does not tell is "?"."""
    return [
        (
            row.need.command,
            row.quota.name if row.quota else row.need.key,
            f"{row.need.amount:g}",
            "?" if row.quota is None else f"{row.quota.value:g}",
            row.verdict,
            row.need.why,
        )
        for row in rows
    ]


def request_more(session: Session, rows: Sequence[Row], confirm: Callable[[Sequence[str]], bool]) -> list[str]:
    """Asks AWS for each quota that is too low, once; says what became of it. AWS decides, in hours or days."""
    most: dict[str, Row] = {}
    for row in sorted((row for row in rows if row.is_short), key=lambda row: row.need.amount):
        most[row.quota.code if row.quota else ""] = row
    if not most:
        return ["every quota that is known is enough"]
    if not confirm([f"{row.quota.name if row.quota else ''}: {row.need.amount:g}" for row in most.values()]):
        return ["nothing was asked for"]
    session.begin_changes()
    waiting = _waiting(session)
    return [_ask(session, row, waiting) for row in most.values()]


def _ask(session: Session, row: Row, waiting: dict[str, str]) -> str:
    code, name = (row.quota.code, row.quota.name) if row.quota else ("", "")
    if code in waiting:
        return f"{name}: asked for already, {waiting[code]}"
    answer = session.call(pure.increase(row))["RequestedQuota"]
    return f"{name}: {row.need.amount:g} asked for, {answer['Status']}"


def _waiting(session: Session) -> dict[str, str]:
    """Requests that nobody has decided yet: code → status."""
    request = service_quotas("ListRequestedServiceQuotaChangeHistory")
    try:
        found = list(pages(session.call, request, items="RequestedQuotas"))
    except AwsError:
        return {}  # who may ask, but not look, finds out by asking
    return {each["QuotaCode"]: each["Status"] for each in found if each["Status"] in OPEN}
