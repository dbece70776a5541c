"""Application Auto Scaling's records: scalable targets, their policies and scheduled actions, scaling activities."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.errors import ApiError

Params = dict[str, Any]
Key = tuple[str, str, str]  # namespace, resource, dimension
KEPT_ACTIVITIES = 1000


def invalid(message: str) -> ApiError:
    """Application Auto Scaling's error for an invalid request."""
    return ApiError("ValidationException", message, 400)


def missing(what: str, params: Mapping[str, Any], more: str = "") -> ApiError:
    """Application Auto Scaling's error for a target, policy or scheduled action that does not exist."""
    return ApiError(
        "ObjectNotFoundException",
        f"No {what} for service namespace: {params['ServiceNamespace']}, resource ID: {params['ResourceId']}, "
        f"scalable dimension: {params['ScalableDimension']}{more}",
        400,
    )


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A scaling policy. `alarms`: name and ARN of the alarms that target tracking created."""

    name: str
    policy_type: str
    config: Mapping[str, Any]
    arn: str
    created: datetime
    alarms: tuple[tuple[str, str], ...] = ()

    @property
    def cooldowns(self) -> tuple[int, int]:
        """Seconds of the cooldowns after a scale-out and a scale-in; 300 by default."""
        both = int(self.config.get("Cooldown", 300))
        return int(self.config.get("ScaleOutCooldown", both)), int(self.config.get("ScaleInCooldown", both))


@dataclass(frozen=True, kw_only=True)
class ScheduledAction:
    """A scheduled action: its PutScheduledAction request, and when it runs next (None: never again)."""

    name: str
    request: Mapping[str, Any]
    arn: str
    created: datetime
    next: datetime | None


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of capacity from `before` to `after`. `ended`: Unix time (0: not yet); `cooldown`: seconds."""

    before: int
    after: int
    cooldown: float
    activity: Params
    ended: float = 0.0

    @property
    def is_out(self) -> bool:
        return self.after > self.before


@dataclass(kw_only=True)
class Target:
    """A scalable target. `moving` is the change in progress, `moved` the last one that ended.

    `Records.lock` guards it, except `moving`, `moved`, `pending_causes` and `not_scaled`: only the autoscaler's thread
    uses these.
    """

    namespace: str
    resource: str
    dimension: str
    minimum: int
    maximum: int
    arn: str
    created: datetime
    suspended: Mapping[str, bool]
    tags: dict[str, str]
    policies: dict[str, Policy] = field(default_factory=dict)
    actions: dict[str, ScheduledAction] = field(default_factory=dict)
    pending_causes: list[str] = field(default_factory=list)  # why bounds changed, until they are applied
    moving: Move | None = None
    moved: Move | None = None
    not_scaled: str = ""  # the last recorded reason for not scaling

    @property
    def key(self) -> Key:
        return self.namespace, self.resource, self.dimension


@dataclass(kw_only=True)
class Records:
    """All targets and activities. `arn` builds an ARN from a service and a resource. `lock` guards all of it."""

    arn: Callable[[str, str], str]
    now: Callable[[], datetime]
    targets: dict[Key, Target] = field(default_factory=dict)
    activities: list[Params] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def find(self, params: Mapping[str, Any]) -> Target | None:
        return self.targets.get((params["ServiceNamespace"], params["ResourceId"], params["ScalableDimension"]))

    def registered(self, params: Mapping[str, Any]) -> Target:
        """The target of a policy or scheduled action. Raises ApiError."""
        target = self.find(params)
        if target is None:
            raise missing("scalable target registered", params)
        return target

    def matching(self, params: Mapping[str, Any]) -> list[Target]:
        """The targets that a Describe request names."""
        resources = [*params.get("ResourceIds", ())] + [params[name] for name in ("ResourceId",) if name in params]
        with self.lock:
            return [
                target
                for target in self.targets.values()
                if target.namespace == params["ServiceNamespace"]
                and (not resources or target.resource in resources)
                and params.get("ScalableDimension", target.dimension) == target.dimension
            ]

    def begin(self, target: Target, description: str, cause: str, **more: Any) -> Params:
        """A new activity, in progress."""
        activity: Params = {
            "ActivityId": str(uuid.uuid4()), "ServiceNamespace": target.namespace, "ResourceId": target.resource,
            "ScalableDimension": target.dimension, "Description": description, "Cause": cause,
            "StartTime": self.now(), "StatusCode": "InProgress",
        } | more  # fmt: skip
        with self.lock:
            self.activities = [activity, *self.activities[: KEPT_ACTIVITIES - 1]]
        return activity

    def end(self, activity: Params, status: str, message: str) -> None:
        with self.lock:
            activity |= {"StatusCode": status, "StatusMessage": message, "EndTime": self.now()}


def page(rows: list[Params], params: Mapping[str, Any], out: str, size: int = 50) -> Params:
    """One page of a Describe operation: MaxResults rows, `size` at most. NextToken is an offset."""
    token = str(params.get("NextToken", "0"))
    if not token.isdecimal() or int(token) > len(rows):
        raise ApiError("InvalidNextTokenException", "The next token supplied was invalid.", 400)
    start, size = int(token), min(int(params.get("MaxResults", size)), size)
    answer: Params = {out: rows[start : start + size]}
    return answer | ({"NextToken": str(start + size)} if start + size < len(rows) else {})
