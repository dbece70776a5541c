"""The operations on scalable targets, their tags and their scaling activities."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from localcloud.applicationautoscaling.records import Params, Records, Target, invalid, missing, page
from localcloud.applicationautoscaling.scalable import UNSUPPORTED, Registration, Scalable
from localcloud.cloudwatch.alarms import Alarms
from localcloud.errors import ApiError
from localcloud.gateway.service import PassToMoto

SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
MAX_TAGS = 50


def check_namespace(params: Params) -> None:
    """Pass requests about other services' resources to moto. Raises PassToMoto."""
    if params["ServiceNamespace"] not in ("sagemaker", "lambda"):
        raise PassToMoto


@dataclass(kw_only=True)
class Targets:
    """The operations on scalable targets. `scalables` are by dimension; `role` maps a namespace to a role ARN."""

    records: Records
    alarms: Alarms
    scalables: Mapping[str, Scalable]
    role: Callable[[str], str]

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
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
        """RegisterScalableTarget: create or change a target. New bounds do not change the capacity (rules 47, 50)."""
        check_namespace(params)
        scalable = self._scalable(params)
        with self.records.lock:
            known = self.records.find(params)
            minimum, maximum = _bounds(params, known)
        if known is not None and params.get("Tags"):
            raise invalid("Tags can only be given when a scalable target is registered: use TagResource.")
        registration = Registration(resource=params["ResourceId"], minimum=minimum, is_new=known is None)
        scalable.check(registration)  # calls the service, so without the lock
        with self.records.lock:
            target = self.records.find(params) or self._new(params, minimum, maximum)
            target.minimum, target.maximum = minimum, maximum
            target.suspended = {**target.suspended, **params.get("SuspendedState", {})}
            target.tags.update(params.get("Tags", {}))
        return {"ScalableTargetARN": target.arn}

    def _scalable(self, params: Params) -> Scalable:
        dimension = params["ScalableDimension"]
        if not dimension.startswith(f"{params['ServiceNamespace']}:"):
            raise invalid(UNSUPPORTED)
        if dimension not in self.scalables:
            raise invalid(f"localcloud does not scale {dimension}: it has no inference components.")
        return self.scalables[dimension]

    def _new(self, params: Params, minimum: int, maximum: int) -> Target:
        target = Target(
            namespace=params["ServiceNamespace"],
            resource=params["ResourceId"],
            dimension=params["ScalableDimension"],
            minimum=minimum,
            maximum=maximum,
            arn=self.records.arn("application-autoscaling", f"scalable-target/{uuid.uuid4().hex[:24]}"),
            created=self.records.now(),
            suspended=dict.fromkeys(SUSPENSIONS, False),
            tags={},
        )
        self.records.targets[target.key] = target
        return target

    def deregister(self, params: Params) -> Params:
        """DeregisterScalableTarget: delete a target with its policies, their alarms and its actions (rule 54)."""
        check_namespace(params)
        with self.records.lock:
            target = self.records.find(params)
            if target is None:
                raise missing("scalable target found", params)
            del self.records.targets[target.key]
        self.alarms.delete_alarms(name for policy in target.policies.values() for name, _ in policy.alarms)
        return {}

    def describe(self, params: Params) -> Params:
        check_namespace(params)
        with self.records.lock:
            rows = [self._described(target) for target in self.records.matching(params)]
        return page(rows, params, "ScalableTargets")

    def _described(self, target: Target) -> Params:
        return {
            "ServiceNamespace": target.namespace, "ResourceId": target.resource,
            "ScalableDimension": target.dimension, "MinCapacity": target.minimum, "MaxCapacity": target.maximum,
            "RoleARN": self.role(target.namespace), "CreationTime": target.created,
            "SuspendedState": dict(target.suspended), "ScalableTargetARN": target.arn,
        }  # fmt: skip

    def activities(self, params: Params) -> Params:
        """DescribeScalingActivities, the newest first; without activities that scaled nothing unless requested."""
        check_namespace(params)
        with self.records.lock:
            rows = [dict(row) for row in self.records.activities if _matches(row, params)]
        return page(rows, params, "ScalingActivities")

    # ------------------------------------------------------------------------------------------ tags

    def _tagged(self, params: Params) -> Target:
        """The target with an ARN. The caller holds the lock. Raises ApiError, PassToMoto."""
        arn = params["ResourceARN"]
        if ":application-autoscaling:" not in arn:
            raise invalid(f"{arn} is not the ARN of a scalable target.")
        for target in self.records.targets.values():
            if target.arn == arn:
                return target
        raise PassToMoto

    def tag(self, params: Params) -> Params:
        with self.records.lock:
            tags = self._tagged(params).tags
            if len(tags | params["Tags"]) > MAX_TAGS:
                raise ApiError("TooManyTagsException", f"A resource takes {MAX_TAGS} tags.", 400)
            tags.update(params["Tags"])
        return {}

    def untag(self, params: Params) -> Params:
        with self.records.lock:
            tags = self._tagged(params).tags
            for key in params["TagKeys"]:
                tags.pop(key, None)
        return {}

    def tags(self, params: Params) -> Params:
        with self.records.lock:
            return {"Tags": dict(self._tagged(params).tags)}


def _bounds(params: Params, known: Target | None) -> tuple[int, int]:
    """The minimum and maximum after a request. Raises ApiError."""
    minimum = params.get("MinCapacity", known.minimum if known else None)
    maximum = params.get("MaxCapacity", known.maximum if known else None)
    if minimum is None or maximum is None:
        raise invalid("MinCapacity and MaxCapacity are required when registering a new scalable target.")
    if minimum < 0:
        raise invalid("Minimum capacity must not be negative.")
    if minimum > maximum:
        raise invalid(f"Minimum capacity {minimum} must not be greater than maximum capacity {maximum}.")
    return int(minimum), int(maximum)


def _matches(row: Params, params: Params) -> bool:
    included = params.get("IncludeNotScaledActivities", False) or "NotScaledReasons" not in row
    keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return included and all(row[key] == params[key] for key in keys if key in params)
