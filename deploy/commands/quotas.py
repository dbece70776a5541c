"""quotas: compares the quotas that deploy.toml needs with the account's, and requests increases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import service_quotas
from deploy.costs import quotas as pure
from deploy.costs.quotas import Row
from deploy.errors import AwsError
from deploy.session import Session

HEADINGS = ("command", "quota", "needed", "has", "verdict", "why")
OPEN = ("PENDING", "CASE_OPENED")


def quotas(session: Session) -> tuple[Row, ...]:
    """Each quota that deploy.toml needs, with the account's own. Changes nothing."""
    return pure.compare(session.call, pure.needs(session.settings))


def table(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Rows under HEADINGS; "?" for a quota that the account may not read."""
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
    """Requests an increase of each quota that is too low, once; returns the results. AWS decides in hours or days."""
    most: dict[str, Row] = {}
    for row in sorted((row for row in rows if row.is_short), key=lambda row: row.need.amount):
        most[row.quota.code if row.quota else ""] = row
    if not most:
        return ["every known quota is high enough"]
    if not confirm([f"{row.quota.name if row.quota else ''}: {row.need.amount:g}" for row in most.values()]):
        return ["nothing was requested"]
    session.begin_changes()
    waiting = _waiting(session)
    return [_ask(session, row, waiting) for row in most.values()]


def _ask(session: Session, row: Row, waiting: dict[str, str]) -> str:
    code, name = (row.quota.code, row.quota.name) if row.quota else ("", "")
    if code in waiting:
        return f"{name}: already requested, {waiting[code]}"
    answer = session.call(pure.increase(row))["RequestedQuota"]
    return f"{name}: {row.need.amount:g} requested, {answer['Status']}"


def _waiting(session: Session) -> dict[str, str]:
    """Requests that AWS has not decided yet: code → status."""
    request = service_quotas("ListRequestedServiceQuotaChangeHistory")
    try:
        requested = list(pages(session.call, request, items="RequestedQuotas"))
    except AwsError:
        return {}  # a user who may request but not list gets AWS's answer to the request
    return {each["QuotaCode"]: each["Status"] for each in requested if each["Status"] in OPEN}
