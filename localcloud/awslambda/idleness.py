"""Versions that nobody invokes become Inactive, and the first invocation makes them ready again (rule 95)."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from localcloud.awslambda.configuration import Params, not_now

IDLE = {"State": "Inactive", "StateReason": "The function is currently idle.", "StateReasonCode": "Idle"}
RESTORING = {"State": "Pending", "StateReason": "The function is being restored.", "StateReasonCode": "Restoring"}


class Version(Protocol):
    """A version of a function. `used_at`: when it was last invoked, provisioned or made ready."""

    config: Params
    used_at: float

    @property
    def pool(self) -> Any: ...


def rest(versions: Iterable[Version], *, now: float, after: float) -> None:
    """Make versions Inactive that were not used for `after` seconds. Provisioned environments keep a version Active."""
    for version in versions:
        if version.pool.floor or version.pool.busy:
            version.used_at = now
        if version.config["State"] == "Active" and now - version.used_at >= after:
            version.config |= IDLE | {"RevisionId": str(uuid.uuid4())}


def use(version: Version, *, now: float, restore: Callable[[], None]) -> None:
    """Begin an invocation. An Inactive version refuses it, and `restore` is called to make the version ready again.

    Raises ApiError unless the version is Active.
    """
    if version.config["State"] == "Active":
        version.used_at = now
        return
    refused = not_now(version.config)
    if version.config["State"] == "Inactive":
        version.config |= RESTORING | {"RevisionId": str(uuid.uuid4())}
        restore()
    raise refused
