"""Versions that nobody invokes become Inactive, and the first invocation makes them ready again (rule 93)."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.refusals import not_now
from localcloud.errors import ApiError

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
        version.used_at = max(version.used_at, *_uses(version.pool, now))
        if version.config["State"] == "Active" and now - version.used_at >= after:
            version.config |= IDLE | {"RevisionId": str(uuid.uuid4())}


def awake(config: Params) -> Params:
    """The configuration of a version that is published now: it is Active, though $LATEST may be idle."""
    return {key: value for key, value in config.items() if key not in IDLE} | {"State": "Active"}


def use(version: Version, *, now: float, restore: Callable[[], None]) -> None:
    """Begin an invocation. An Inactive version refuses it, and `restore` is called to make the version ready again.

    Raises ApiError unless the version is Active.
    """
    if version.config["State"] == "Active":
        version.used_at = now
        return
    if version.config["State"] == "Inactive":
        version.config |= RESTORING | {"RevisionId": str(uuid.uuid4())}
        restore()
        raise _initializing()
    raise _initializing() if version.config.get("StateReasonCode") == "Restoring" else not_now(version.config)


def _uses(pool: Any, now: float) -> list[float]:
    """When a version's environments were last busy or kept warm."""
    return [now if pool.floor or pool.busy else 0.0, *(each.idle_since for each in pool.idle)]


def _initializing() -> ApiError:
    """Lambda's 409 while it makes an idle function's image ready again."""
    message = "Lambda is initializing your function. It will be ready to invoke shortly."
    return ApiError("CodeArtifactUserPendingException", message, 409, Type="User")
