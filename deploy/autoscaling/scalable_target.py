"""A scalable target with its policy and schedules: how far and why a capacity moves by itself (rules 47–50, 52–54).

A target is released (deregistered) before its variant goes or changes its instance type, and registered anew after.
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
    """The least and the most, as one schedule sets them; None leaves it as it is."""

    at: str
    least: int | None
    most: int | None


@dataclass(frozen=True, kw_only=True)
class ScalableTarget:
    """What should scale: `resource` is the ResourceId, `tracking` the TargetTrackingScalingPolicyConfiguration.

    `form` is what the variant runs as ("real-time ml.m5.large"); a target of another form was released by its
    endpoint's update. `from_zero`: it may go to 0, and must come back when requests wait. `ready` is waited for first,
    for a resource that is being changed cannot be registered.
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
        found = describe(self.resource, call)
        if found is None:
            return None
        policies = list(pages(call, autoscaling("DescribeScalingPolicies", **self._about()), items="ScalingPolicies"))
        actions = list(pages(call, autoscaling("DescribeScheduledActions", **self._about()), items="ScheduledActions"))
        tracking = [each for each in policies if each["PolicyName"] == POLICY]
        waking = [each["PolicyARN"] for each in policies if each["PolicyName"] == from_zero.POLICY]
        own = (POLICY, from_zero.POLICY)
        return State(
            fields={
                "min": found["MinCapacity"],
                "max": found["MaxCapacity"],
                "tracking": _said(tracking[0]["TargetTrackingScalingPolicyConfiguration"]) if tracking else None,
                "schedules": {each["ScheduledActionName"]: _seen_action(each) for each in actions},
                "from_zero": bool(waking) and from_zero.is_ringing_for(self.resource, waking[0], call),
                "others": sorted(each["PolicyName"] for each in policies if each["PolicyName"] not in own),
                "form": running_forms(self.resource.split("/")[1], call).get(self.resource) if self.form else "",
            },
            tags=tags_at(found["ScalableTargetARN"], call),
        )

    def plan(self, seen: State | None) -> Step:
        if seen is None:
            reason = f"does not scale yet; {self._words()}"
            return Step(action="create", address=self.address, reason=reason, acts=self._new())
        require_ours(self.address, seen, self.tags)
        if self.form and seen.fields["form"] not in (None, self.form):
            change = Change(field="form", before=seen.fields["form"], after=self.form)
            reason = f"its variant changes; {self._words()}"
            return Step(action="replace", address=self.address, reason=reason, acts=self._new(), changes=(change,))
        changes = self._changes(seen)
        if not changes:
            return unchanged(self.address)
        acts = (*self.ready, *self._settle({change.field for change in changes}, seen))
        return Step(
            action="update", address=self.address, reason=self._words(), acts=acts, changes=changes,
            touches="the capacity moves when the metric or a schedule says so",
        )  # fmt: skip

    def _changes(self, seen: State) -> tuple[Change, ...]:
        """What differs. Bounds that a schedule has set are not a difference: the schedule will set them again."""
        wanted = self.desired()
        for name in ("min", "max"):
            scheduled = [getattr(each, "least" if name == "min" else "most") for each in self.schedules.values()]
            if seen.fields[name] in scheduled:
                wanted[name] = seen.fields[name]
        if seen.fields["others"]:
            wanted["others"] = []
        return differences(seen.fields, wanted)

    def _new(self) -> tuple[Act, ...]:
        actions = [self._put_action(name) for name in self.schedules]
        waking = self._wake() if self.from_zero else ()
        return (*self.ready, self._register(Tags=dict(self.tags)), self._put_policy(), *waking, *actions)

    def _wake(self) -> tuple[Act, ...]:
        cooldown_s = int(self.tracking.get("ScaleOutCooldown", 300))
        return from_zero.put(self.address, self.key, cooldown_s=cooldown_s, tags=self.tags)

    def _settle(self, names: set[str], seen: State) -> Iterator[Act]:
        if names & {"min", "max"}:
            yield self._register()
        if "tracking" in names:
            yield self._put_policy()
        if "from_zero" in names and self.from_zero:
            yield from self._wake()
        elif "from_zero" in names:
            yield autoscaling("DeleteScalingPolicy", PolicyName=from_zero.POLICY, **self.key)
            yield from_zero.delete_alarm(self.resource)
        for name in seen.fields["others"]:
            yield autoscaling("DeleteScalingPolicy", PolicyName=name, **self.key)
        before: Mapping[str, Any] = seen.fields["schedules"]
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
    """Policies, the alarms of target tracking and schedules go with the target (rule 54); our own alarm apart."""
    own = (from_zero.delete_alarm(resource),) if resource.startswith("endpoint/") else ()
    return (autoscaling("DeregisterScalableTarget", **key_of(resource)), *own)


def metric_words(tracking: Mapping[str, Any]) -> str:
    """A target for people, with its unit (rule 48)."""
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
    """Every scalable target of a service, whoever made it."""
    about = {"ServiceNamespace": namespace, "ScalableDimension": DIMENSIONS[namespace]}
    return pages(call, autoscaling("DescribeScalableTargets", **about), items="ScalableTargets")


def describe(resource: str, call: Call) -> Mapping[str, Any] | None:
    key = key_of(resource)
    about = {"ResourceIds": [key.pop("ResourceId")], **key}
    found: list[Mapping[str, Any]] = call(autoscaling("DescribeScalableTargets", **about)).get("ScalableTargets", [])
    return found[0] if found else None


def tags_at(arn: str, call: Call) -> dict[str, str]:
    return dict((lookup(call, autoscaling("ListTagsForResource", ResourceARN=arn)) or {}).get("Tags", {}))


def _action(bounds: Bounds) -> dict[str, Any]:
    """A schedule as PutScheduledAction takes it."""
    both = {"MinCapacity": bounds.least, "MaxCapacity": bounds.most}
    wanted = {name: value for name, value in both.items() if value is not None}
    return {"Schedule": bounds.at, "ScalableTargetAction": wanted}


def _seen_action(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"Schedule": found["Schedule"], "ScalableTargetAction": found.get("ScalableTargetAction", {})}


def _said(tracking: Mapping[str, Any]) -> dict[str, Any]:
    """A policy's configuration without what AWS adds by itself."""
    return {name: value for name, value in tracking.items() if (name, value) != ("DisableScaleIn", False)}


def _names(settings: Settings, call: Call) -> Iterable[str]:
    """Targets of things whose names start with the stage's prefix."""
    for namespace, separator in (("sagemaker", "/"), ("lambda", ":")):
        for each in targets(namespace, call):
            name = str(each["ResourceId"]).split(separator)[1]
            if name == settings.prefix or name.startswith(f"{settings.prefix}-"):
                yield str(each["ResourceId"])


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    found = describe(name, call)
    return tags_at(found["ScalableTargetARN"], call) if found else {}


def _state(name: str, _: Settings, call: Call) -> str:
    found = describe(name, call)
    return f"{found['MinCapacity']} to {found['MaxCapacity']}" if found else "gone"


def _remove(name: str, _: Settings) -> Step:
    return delete(f"scalable-target/{name}", *deregister(name))


KIND = ResourceKind(name="scalable-target", names=_names, tags=_tags, remove=_remove, state=_state)
