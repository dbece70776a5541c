"""audit: a security review of the account. It changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from deploy.audit import iam, network, serving, storage
from deploy.audit.finding import Finding, ranked
from deploy.audit.permissions import unless_denied
from deploy.session import Session
from deploy.values import Call

Area = Callable[[Call, datetime], Iterator[Finding]]
AREAS: Mapping[str, Area] = {
    "root user": iam.root,
    "policies and roles": iam.look,
    "users and keys": iam.users,
    "security groups": network.look,
    "buckets": storage.look,
    "endpoints": serving.endpoints,
    "images": serving.images,
}


def audit(session: Session, *, now: datetime | None = None) -> list[Finding]:
    """Every finding, the worst first. An area that may not be read becomes a finding, and the review continues."""
    when = now or datetime.now(UTC)
    areas = (unless_denied(name, partial(area, session.call, when)) for name, area in AREAS.items())
    return ranked(finding for area in areas for finding in area)
