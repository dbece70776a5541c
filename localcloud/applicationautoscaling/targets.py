"""RegisterScalableTarget and its kin, tags and activities."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from localcloud.applicationautoscaling.records import Params, Records, Target, invalid, missing, page
from localcloud.applicationautoscaling.scalable import UNSUPPORTED, Registration, Scalable
from localcloud.cloudwatch.alarms import Alarms
from localcloud.errors import ApiError
from localcloud.gateway.service import PassToMoto

SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
MOST_TAGS = 50


def ours(params: Params) -> None:
    """Send what is about other services' resources on to moto."""
    if params["ServiceNamespace"] not in ("sagemaker", "lambda"):
        raise PassToMoto


@dataclass(kw_only=True)
class Targets:
    """The operations on scalable targets. `scalables` are by dimension."""

    records: Records
    alarms: Alarms
    scalables: Mapping[str, Scalable]
    role: Callable[[str], str]

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "RegisterScalableTarget": self.register,
            "DeregisterScalableTarget": self.deregister,
            "DescribeScalableTargets": self.describe,
            "DescribeScalingActivities": self.activities,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.tags,
        }

    def register(self, params: Params) -> Params:
        """Make or change a target: new bounds move nothing until a policy or a schedule does (rules 47, 50)."""
        ours(params)
        scalable = self._scalable(params)
        with self.records.lock:
            known = self.records.find(params)
            least, most = _bounds(params, known)
        asked = Registration(resource=params["ResourceId"], least=least, is_new=known is None)
        scalable.check(asked)  # asks the service, so not under the lock
        with self.records.lock:
            target = self.records.find(params) or self._new(params)
            target.least, target.most = least, most
            target.suspended = {**target.suspended, **params.get("SuspendedState", {})}
            if known is None:
                target.tags.update(params.get("Tags", {}))
            elif params.get("Tags"):
                raise invalid("Tags can only be given when a scalable target is registered: use TagResource.")
        return {"ScalableTargetARN": target.arn}

    def _scalable(self, params: Params) -> Scalable:
        dimension = params["ScalableDimension"]
        if not dimension.startswith(f"{params['ServiceNamespace']}:"):
            raise invalid(UNSUPPORTED)
        if dimension not in self.scalables:
            raise invalid(f"localcloud does not scale {dimension}: it has no inference components.")
        return self.scalables[dimension]

    def _new(self, params: Params) -> Target:
        target = Target(
            namespace=params["ServiceNamespace"],
            resource=params["ResourceId"],
            dimension=params["ScalableDimension"],
            least=0,
            most=0,
            arn=self.records.arn("application-autoscaling", f"scalable-target/{uuid.uuid4().hex[:24]}"),
            created=self.records.now(),
            suspended=dict.fromkeys(SUSPENSIONS, False),
            tags={},
        )
        self.records.targets[target.key] = target
        return target

    def deregister(self, params: Params) -> Params:
        """Forget a target with its policies, their alarms, and its schedules (rule 54)."""
        ours(params)
        with self.records.lock:
            target = self.records.find(params)
            if target is None:
                raise missing("scalable target found", params)
            del self.records.targets[target.key]
        self.alarms.delete_alarms(name for policy in target.policies.values() for name, _ in policy.alarms)
        return {}

    def describe(self, params: Params) -> Params:
        ours(params)
        rows = [self._described(target) for target in self.records.of(params)]
        return page(rows, params, "ScalableTargets")

    def _described(self, target: Target) -> Params:
        return {
            "ServiceNamespace": target.namespace, "ResourceId": target.resource,
            "ScalableDimension": target.dimension, "MinCapacity": target.least, "MaxCapacity": target.most,
            "RoleARN": self.role(target.namespace), "CreationTime": target.created,
            "SuspendedState": dict(target.suspended), "ScalableTargetARN": target.arn,
        }  # fmt: skip

    def activities(self, params: Params) -> Params:
        """The newest first; those that changed nothing only when asked for."""
        ours(params)
        rows = [row for row in self.records.activities if _matches(row, params)]
        return page(rows, params, "ScalingActivities")

    # ------------------------------------------------------------------------------------------ tags

    def _tagged(self, params: Params) -> Target:
        arn = params["ResourceARN"]
        if ":application-autoscaling:" not in arn:
            raise invalid(f"{arn} is no ARN of a scalable target.")
        for target in self.records.targets.values():
            if target.arn == arn:
                return target
        raise PassToMoto

    def tag(self, params: Params) -> Params:
        tags = self._tagged(params).tags
        if len(tags | params["Tags"]) > MOST_TAGS:
            raise ApiError("TooManyTagsException", f"A resource takes {MOST_TAGS} tags.", 400)
        tags.update(params["Tags"])
        return {}

    def untag(self, params: Params) -> Params:
        tags = self._tagged(params).tags
        _drop(tags, params["TagKeys"])
        return {}

    def tags(self, params: Params) -> Params:
        return {"Tags": dict(self._tagged(params).tags)}


def _drop(tags: dict[str, str], keys: Iterable[str]) -> None:
    for key in keys:
        tags.pop(key, None)


def _bounds(params: Params, known: Target | None) -> tuple[int, int]:
    """The minimum and maximum after a request. Raises ApiError."""
    least = params.get("MinCapacity", known.least if known else None)
    most = params.get("MaxCapacity", known.most if known else None)
    if least is None or most is None:
        raise invalid("MinCapacity and MaxCapacity are required when registering a new scalable target.")
    if least < 0:
        raise invalid("Minimum capacity must not be negative.")
    if least > most:
        raise invalid(f"Minimum capacity {least} must not be greater than maximum capacity {most}.")
    return int(least), int(most)


def _matches(row: Params, params: Params) -> bool:
    told = params.get("IncludeNotScaledActivities", False) or "NotScaledReasons" not in row
    keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return told and all(row[key] == params[key] for key in keys if key in params)
