"""What Application Auto Scaling keeps: scalable targets with their policies and scheduled actions, and activities."""

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
    """Application Auto Scaling's complaint about a request."""
    return ApiError("ValidationException", message, 400)


def missing(what: str, params: Mapping[str, Any], more: str = "") -> ApiError:
    """What is said of a target, policy or action that is not there."""
    return ApiError(
        "ObjectNotFoundException",
        f"No {what} for service namespace: {params['ServiceNamespace']}, resource ID: {params['ResourceId']}, "
        f"scalable dimension: {params['ScalableDimension']}{more}",
        400,
    )


@dataclass(kw_only=True)
class Policy:
    """A scaling policy. `alarms` are (name, ARN) of those that target tracking made."""

    name: str
    kind: str
    config: Mapping[str, Any]
    arn: str
    created: datetime
    alarms: tuple[tuple[str, str], ...] = ()

    @property
    def cooldowns(self) -> tuple[int, int]:
        """(out, in), seconds; 300 where nothing is said."""
        both = int(self.config.get("Cooldown", 300))
        return int(self.config.get("ScaleOutCooldown", both)), int(self.config.get("ScaleInCooldown", both))


@dataclass(kw_only=True)
class Action:
    """A scheduled action: the request that made it, and when it runs next (None: never again)."""

    name: str
    request: Mapping[str, Any]
    arn: str
    created: datetime
    next: datetime | None


@dataclass(kw_only=True)
class Move:
    """A change of capacity, counted before and after it. `ended` is Unix time (0: not yet), `cooldown` seconds."""

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
    """A scalable target. `moving` is the change under way, `moved` the last one that ended."""

    namespace: str
    resource: str
    dimension: str
    least: int
    most: int
    arn: str
    created: datetime
    suspended: Mapping[str, bool]
    tags: dict[str, str]
    policies: dict[str, Policy] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    owed: list[str] = field(default_factory=list)  # causes of changes that could not be made yet
    moving: Move | None = None
    moved: Move | None = None
    not_scaled: str = ""  # the reason that was told last

    @property
    def key(self) -> Key:
        return self.namespace, self.resource, self.dimension


@dataclass(kw_only=True)
class Records:
    """All targets and activities. `arn` makes an ARN of a service and a resource. Thread-safe under `lock`."""

    arn: Callable[[str, str], str]
    now: Callable[[], datetime]
    targets: dict[Key, Target] = field(default_factory=dict)
    activities: list[Params] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def find(self, params: Mapping[str, Any]) -> Target | None:
        return self.targets.get((params["ServiceNamespace"], params["ResourceId"], params["ScalableDimension"]))

    def registered(self, params: Mapping[str, Any]) -> Target:
        """The target that a policy or an action is for. Raises ApiError."""
        found = self.find(params)
        if found is None:
            raise missing("scalable target registered", params)
        return found

    def of(self, params: Mapping[str, Any]) -> list[Target]:
        """The targets that a Describe request is about."""
        wanted = [*params.get("ResourceIds", ())] + [params[name] for name in ("ResourceId",) if name in params]
        return [
            target
            for target in self.targets.values()
            if target.namespace == params["ServiceNamespace"]
            and (not wanted or target.resource in wanted)
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
        activity |= {"StatusCode": status, "StatusMessage": message, "EndTime": self.now()}


def page(rows: list[Params], params: Mapping[str, Any], out: str, size: int = 50) -> Params:
    """A Describe answer: `size` rows at a time unless fewer are asked for; NextToken is a plain offset."""
    token = str(params.get("NextToken", "0"))
    if not token.isdecimal() or int(token) > len(rows):
        raise ApiError("InvalidNextTokenException", "The next token supplied was invalid.", 400)
    start, size = int(token), min(int(params.get("MaxResults", size)), size)
    answer: Params = {out: rows[start : start + size]}
    return answer | ({"NextToken": str(start + size)} if start + size < len(rows) else {})
