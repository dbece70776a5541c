"""A scalable target with its policy and schedules: the bounds, the metric and the times of autoscaling (rules 47–50,
52–54).

A target is deregistered before its variant goes or changes its instance type, and registered again afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.autoscaling import from_zero
from deploy.autoscaling.variants import running_forms
from deploy.aws.client import lookup, pages
from deploy.aws.requests import autoscaling
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, require_ours, unchanged
from deploy.values import Act, Call, Change, Params, Request, State, Step, Wait, differences

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "lambda:function:ProvisionedConcurrency"
DIMENSIONS = {"sagemaker": INSTANCES, "lambda": CONCURRENCY}
POLICY = "kennel-target-tracking"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The minimum and maximum that one schedule sets; None keeps the current one."""

    at: str
    least: int | None
    most: int | None


@dataclass(frozen=True, kw_only=True)
class ScalableTarget:
    """A variant or function that scales: `resource` is the ResourceId, `tracking` the
    TargetTrackingScalingPolicyConfiguration.

    `form` is how the variant runs ("real-time ml.m5.large"); the update of its endpoint deregisters a target of another
    form. `from_zero`: the variant may go to 0 and must start again when requests wait. `ready` is waited for first,
    because AWS does not register a resource while it changes.
    """

    resource: str
    least: int
    most: int
    tracking: Mapping[str, Any]
    schedules: Mapping[str, Bounds] = field(default_factory=dict)
    form: str = ""
    from_zero: bool = False
    ready: tuple[Wait, ...] = ()
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"scalable-target/{self.resource}"

    @property
    def key(self) -> dict[str, str]:
        return key_of(self.resource)

    def desired(self) -> dict[str, Any]:
        return {
            "min": self.least,
            "max": self.most,
            "tracking": dict(self.tracking),
            "schedules": {name: _action(bounds) for name, bounds in self.schedules.items()},
            "from_zero": self.from_zero,
        }

    def read(self, call: Call) -> State | None:
        target = describe(self.resource, call)
        if target is None:
            return None
        policies = list(pages(call, autoscaling("DescribeScalingPolicies", **self._about()), items="ScalingPolicies"))
        actions = list(pages(call, autoscaling("DescribeScheduledActions", **self._about()), items="ScheduledActions"))
        tracking = [each for each in policies if each["PolicyName"] == POLICY]
        steps = [each["PolicyARN"] for each in policies if each["PolicyName"] == from_zero.POLICY]
        own = (POLICY, from_zero.POLICY)
        return State(
            fields={
                "min": target["MinCapacity"],
                "max": target["MaxCapacity"],
                "tracking": _own_fields(tracking[0]) if tracking else None,
                "schedules": {each["ScheduledActionName"]: _observed_action(each) for each in actions},
                "from_zero": bool(steps) and from_zero.triggers(self.resource, steps[0], call),
                "others": sorted(each["PolicyName"] for each in policies if each["PolicyName"] not in own),
                "form": running_forms(self.resource.split("/")[1], call).get(self.resource) if self.form else "",
            },
            tags=tags_at(target["ScalableTargetARN"], call),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            reason = f"does not scale yet; {self._words()}"
            return Step(action="create", address=self.address, reason=reason, acts=self._new())
        require_ours(self.address, observed, self.tags)
        if self.form and observed.fields["form"] not in (None, self.form):
            change = Change(field="form", before=observed.fields["form"], after=self.form)
            reason = f"its variant changes form; {self._words()}"
            return Step(action="replace", address=self.address, reason=reason, acts=self._new(), changes=(change,))
        changes = self._changes(observed)
        if not changes:
            return unchanged(self.address)
        acts = (*self.ready, *self._settle({change.field for change in changes}, observed))
        return Step(
            action="update", address=self.address, reason=self._words(), acts=acts, changes=changes,
            touches="the capacity changes when the metric or a schedule requires it",
        )  # fmt: skip

    def _changes(self, observed: State) -> tuple[Change, ...]:
        """The differences. Bounds that a schedule has set do not count: the schedule would set them again."""
        desired = self.desired()
        for name in ("min", "max"):
            scheduled = [getattr(each, "least" if name == "min" else "most") for each in self.schedules.values()]
            if observed.fields[name] in scheduled:
                desired[name] = observed.fields[name]
        if observed.fields["others"]:
            desired["others"] = []
        return differences(observed.fields, desired)

    def _new(self) -> tuple[Act, ...]:
        actions = [self._put_action(name) for name in self.schedules]
        first_instance = self._from_zero() if self.from_zero else ()
        return (*self.ready, self._register(Tags=dict(self.tags)), self._put_policy(), *first_instance, *actions)

    def _from_zero(self) -> tuple[Act, ...]:
        cooldown_s = int(self.tracking.get("ScaleOutCooldown", 300))
        return from_zero.put(self.address, self.key, cooldown_s=cooldown_s, tags=self.tags)

    def _settle(self, names: set[str], observed: State) -> Iterator[Act]:
        if names & {"min", "max"}:
            yield self._register()
        if "tracking" in names:
            yield self._put_policy()
        if "from_zero" in names and self.from_zero:
            yield from self._from_zero()
        elif "from_zero" in names:
            yield autoscaling("DeleteScalingPolicy", PolicyName=from_zero.POLICY, **self.key)
            yield from_zero.delete_alarm(self.resource)
        for name in observed.fields["others"]:
            yield autoscaling("DeleteScalingPolicy", PolicyName=name, **self.key)
        before: Mapping[str, Any] = observed.fields["schedules"]
        for name in [name for name in before if name not in self.schedules]:
            yield autoscaling("DeleteScheduledAction", ScheduledActionName=name, **self.key)
        for name, bounds in self.schedules.items():
            if before.get(name) != _action(bounds):
                yield self._put_action(name)

    def _register(self, **more: Any) -> Request:
        return autoscaling("RegisterScalableTarget", MinCapacity=self.least, MaxCapacity=self.most, **self.key, **more)

    def _put_policy(self) -> Request:
        return autoscaling(
            "PutScalingPolicy",
            PolicyName=POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=dict(self.tracking),
            **self.key,
        )

    def _put_action(self, name: str) -> Request:
        return autoscaling("PutScheduledAction", ScheduledActionName=name, **_action(self.schedules[name]), **self.key)

    def _about(self) -> Params:
        return {name: self.key[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}

    def _words(self) -> str:
        return f"{self.least} to {self.most}, {metric_words(self.tracking)}"


def key_of(resource: str) -> dict[str, str]:
    """Namespace, ResourceId and dimension of a resource (rules 47, 68)."""
    namespace = "sagemaker" if resource.startswith("endpoint/") else "lambda"
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": DIMENSIONS[namespace]}


def deregister(resource: str) -> tuple[Request, ...]:
    """AWS deletes policies, their alarms and schedules with the target (rule 54), but not our own alarm."""
    own = (from_zero.delete_alarm(resource),) if resource.startswith("endpoint/") else ()
    return (autoscaling("DeregisterScalableTarget", **key_of(resource)), *own)


def metric_words(tracking: Mapping[str, Any]) -> str:
    """A tracking target in words, with its unit (rule 48)."""
    target = f"{tracking['TargetValue']:g}"
    kind = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "")
    if kind == "SageMakerVariantInvocationsPerInstance":
        return f"{target} invocations per instance and minute"
    if kind == "SageMakerVariantConcurrentRequestsPerModelHighResolution":
        return f"{target} requests at once per instance"
    if kind == "LambdaProvisionedConcurrencyUtilization":
        return f"{tracking['TargetValue'] * 100:g} % of provisioned concurrency in use"
    return f"{target} waiting requests per instance"


def targets(namespace: str, call: Call) -> Iterator[Mapping[str, Any]]:
    """Every scalable target of a service, ours or not."""
    about = {"ServiceNamespace": namespace, "ScalableDimension": DIMENSIONS[namespace]}
    return pages(call, autoscaling("DescribeScalableTargets", **about), items="ScalableTargets")


def describe(resource: str, call: Call) -> Mapping[str, Any] | None:
    key = key_of(resource)
    about = {"ResourceIds": [key.pop("ResourceId")], **key}
    answer: list[Mapping[str, Any]] = call(autoscaling("DescribeScalableTargets", **about)).get("ScalableTargets", [])
    return answer[0] if answer else None


def tags_at(arn: str, call: Call) -> dict[str, str]:
    return dict((lookup(call, autoscaling("ListTagsForResource", ResourceARN=arn)) or {}).get("Tags", {}))


def _action(bounds: Bounds) -> dict[str, Any]:
    """A schedule as PutScheduledAction takes it."""
    both = {"MinCapacity": bounds.least, "MaxCapacity": bounds.most}
    given = {name: value for name, value in both.items() if value is not None}
    return {"Schedule": bounds.at, "ScalableTargetAction": given}


def _observed_action(action: Mapping[str, Any]) -> dict[str, Any]:
    return {"Schedule": action["Schedule"], "ScalableTargetAction": action.get("ScalableTargetAction", {})}


def _own_fields(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy's configuration without the field that AWS adds."""
    tracking: Mapping[str, Any] = policy["TargetTrackingScalingPolicyConfiguration"]
    return {name: value for name, value in tracking.items() if (name, value) != ("DisableScaleIn", False)}


def _names(settings: Settings, call: Call) -> Iterable[str]:
    """Targets of endpoints and functions whose names start with the stage's prefix."""
    for namespace, separator in (("sagemaker", "/"), ("lambda", ":")):
        for each in targets(namespace, call):
            name = str(each["ResourceId"]).split(separator)[1]
            if settings.may_own(name):
                yield str(each["ResourceId"])


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    target = describe(name, call)
    return tags_at(target["ScalableTargetARN"], call) if target else {}


def _state(name: str, _: Settings, call: Call) -> str:
    target = describe(name, call)
    return f"{target['MinCapacity']} to {target['MaxCapacity']}" if target else "gone"


def _remove(name: str, _: Settings) -> Step:
    return delete(f"scalable-target/{name}", *deregister(name))


KIND = ResourceKind(name="scalable-target", names=_names, tags=_tags, remove=_remove, state=_state)
