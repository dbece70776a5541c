"""autoscale: applies the scaling settings of deploy.toml, then reports the state of scaling."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.autoscaling import from_zero
from deploy.autoscaling.scalable_target import describe, key_of, metric_words
from deploy.autoscaling.variants import running_forms
from deploy.aws.client import lookup
from deploy.aws.requests import autoscaling, lambda_, sagemaker
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.endpoints.checks import check_scaling
from deploy.endpoints.scaling import scalable_targets
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import DeployError
from deploy.function.scaling import function_targets
from deploy.session import Session
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME
from deploy.stage.obsolete import Obsolete
from deploy.stage.targets import all_targets
from deploy.values import Call

HEADINGS = ("resource", "now", "desired", "min", "max", "target")
ACTIVITY_HEADINGS = ("when", "resource", "activity", "status", "cause")
LAST = 8  # activities to show
AT_MINIMUM, AT_MAXIMUM = "AlreadyAtMinCapacity", "AlreadyAtMaxCapacity"
CAUSES = {
    "-AlarmHigh-": "above the target",
    "-AlarmLow-": "well below the target",
    f"policy {from_zero.POLICY}": "requests waited and no instance was running",
}


@dataclass(frozen=True, kw_only=True)
class ScalingState:
    """One variant or function: its counts now and desired (None: unknown), its bounds (None: it does not scale)."""

    resource: str
    now: int | None
    desired: int | None
    min: int | None
    max: int | None
    target: str

    @property
    def row(self) -> tuple[str, ...]:
        counts = (self.now, self.desired, self.min, self.max)
        return (self.resource, *("–" if count is None else str(count) for count in counts), self.target)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One scaling activity in AWS's own words, except for common causes."""

    when: datetime
    resource: str
    description: str
    status: str
    cause: str

    @property
    def row(self) -> tuple[str, ...]:
        return (f"{self.when:%Y-%m-%d %H:%M:%S}", self.resource, self.description, self.status, self.cause)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The state of everything that could scale, and the last activities, the newest first."""

    states: tuple[ScalingState, ...]
    activities: tuple[Activity, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, default=datetime.isoformat)

    def show(self, screen: Screen) -> None:
        screen.table(HEADINGS, [each.row for each in self.states])
        if self.activities:
            screen.say("\nlast activities (UTC)")
            screen.table(ACTIVITY_HEADINGS, [each.row for each in self.activities])


def autoscale(session: Session) -> Report:
    """Registers and deregisters scalable targets as deploy.toml says, then reports. Raises DeployError."""
    settings, call = session.settings, session.call
    for spec in endpoint_specs(settings):
        check_scaling(spec)
    _require_deployed(settings, call)
    targets = all_targets(settings)
    session.settle((*targets, *_obsolete(session, [each.address for each in targets])))
    return report(settings, call)


def _require_deployed(settings: Settings, call: Call) -> None:
    """Raises DeployError unless every target runs as deploy.toml says; only deploy can change that."""
    for spec in endpoint_specs(settings):
        targets = scalable_targets(spec)
        running = running_forms(spec.name, call) if targets else {}
        for target in targets:
            if target.resource not in running:
                raise DeployError(f"{target.resource}: does not run yet; ./inv deploy creates it and its scaling")
            if running[target.resource] != target.form:
                raise DeployError(
                    f"{target.resource}: runs as {running[target.resource]}, but deploy.toml says {target.form}; "
                    "./inv deploy changes it and its scaling"
                )
    for target in function_targets(settings):
        _, function, alias = target.resource.split(":")
        if lookup(call, lambda_("GetAlias", FunctionName=function, Name=alias)) is None:
            raise DeployError(f"{target.resource}: does not exist yet; ./inv deploy creates it and its scaling")


def _obsolete(session: Session, addresses: Iterable[str]) -> Iterator[Obsolete]:
    settings, kind = session.settings, BY_NAME["scalable-target"]
    kept = set(addresses)
    for address, state in inventory(settings, session.call, [kind], say=session.screen.say).items():
        if address not in kept:
            step = kind.remove(address.partition("/")[2], settings)
            yield Obsolete(address=address, reason="should not scale any more", step=step, state=state)


def report(settings: Settings, call: Call) -> Report:
    """The state of everything that could scale. Changes nothing."""
    variants = [each for spec in endpoint_specs(settings) for each in _variants(spec.name, call)]
    functions = [_function(target.resource, call) for target in function_targets(settings)]
    resources = [each.resource for each in (*variants, *functions) if each.min is not None]
    activities = sorted((each for name in resources for each in _activities(name, call)), key=lambda each: each.when)
    return Report(states=(*variants, *functions), activities=tuple(reversed(activities[-LAST:])))


def _variants(endpoint: str, call: Call) -> Iterator[ScalingState]:
    answer = lookup(call, sagemaker("DescribeEndpoint", EndpointName=endpoint)) or {}
    for variant in answer.get("ProductionVariants", ()):
        counts = variant.get("CurrentInstanceCount"), variant.get("DesiredInstanceCount")
        yield _state(f"endpoint/{endpoint}/variant/{variant['VariantName']}", counts, answer["EndpointStatus"], call)


def _function(resource: str, call: Call) -> ScalingState:
    _, function, alias = resource.split(":")
    request = lambda_("GetProvisionedConcurrencyConfig", FunctionName=function, Qualifier=alias)
    answer = lookup(call, request) or {}
    names = ("AllocatedProvisionedConcurrentExecutions", "RequestedProvisionedConcurrentExecutions")
    return _state(resource, (answer.get(names[0]), answer.get(names[1])), "InService", call)


def _state(resource: str, counts: tuple[int | None, int | None], status: str, call: Call) -> ScalingState:
    target = describe(resource, call) or {}
    words = _policies(resource, call) if target else "does not scale"
    if target and status != "InService":
        words += f" (waiting: {status})"
    return ScalingState(
        resource=resource, now=counts[0], desired=counts[1], min=target.get("MinCapacity"),
        max=target.get("MaxCapacity"), target=words,
    )  # fmt: skip


def _policies(resource: str, call: Call) -> str:
    answer = call(autoscaling("DescribeScalingPolicies", **key_of(resource)))
    tracking = "TargetTrackingScalingPolicyConfiguration"
    policies = answer.get("ScalingPolicies", ())
    known = {from_zero.POLICY: "starts from 0 when requests wait"}
    return ", ".join(
        metric_words(each[tracking]) if tracking in each else known.get(each["PolicyName"], each["PolicyName"])
        for each in policies
    )


def _activities(resource: str, call: Call) -> Iterator[Activity]:
    params = {**key_of(resource), "MaxResults": LAST, "IncludeNotScaledActivities": True}
    for activity in call(autoscaling("DescribeScalingActivities", **params)).get("ScalingActivities", ()):
        if AT_MINIMUM in _not_scaled(activity):
            continue  # an idle target reports this again and again
        yield Activity(
            when=activity["StartTime"].astimezone(UTC),
            resource=resource,
            description=activity["Description"].rstrip("."),
            status=_status(activity),
            cause=_cause(activity),
        )


def _status(activity: Mapping[str, Any]) -> str:
    """AWS gives status Failed to an activity that it chose not to carry out."""
    return "not scaled" if activity.get("NotScaledReasons") else str(activity["StatusCode"]).lower()


def _cause(activity: Mapping[str, Any]) -> str:
    """The cause or failure. For our alarms and policies, words instead of their long names."""
    if codes := _not_scaled(activity):
        return ", ".join("already at its maximum" if code == AT_MAXIMUM else code for code in codes)
    if activity["StatusCode"] == "Failed":
        return str(activity.get("StatusMessage", "no reason given"))
    cause = str(activity["Cause"])
    return next((words for mark, words in CAUSES.items() if mark in cause), cause)


def _not_scaled(activity: Mapping[str, Any]) -> list[str]:
    return [each["Code"] for each in activity.get("NotScaledReasons", ())]
