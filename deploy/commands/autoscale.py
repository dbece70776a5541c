"""autoscale: what deploy.toml says of scaling is made so, and how it stands is told."""

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

HEADINGS = ("what", "now", "wanted", "min", "max", "target")
ACTIVITY_HEADINGS = ("when", "what", "did", "status", "why")
LAST = 8  # activities that are shown
AT_REST, AT_MOST = "AlreadyAtMinCapacity", "AlreadyAtMaxCapacity"
WORDS = {
    "-AlarmHigh-": "above the target",
    "-AlarmLow-": "well below the target",
    f"policy {from_zero.POLICY}": "requests waited and none was there",
}


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """How one variant or function stands: counts now and wanted (None: not known), bounds (None: does not scale)."""

    what: str
    now: int | None
    wanted: int | None
    least: int | None
    most: int | None
    target: str

    @property
    def row(self) -> tuple[str, ...]:
        counts = (self.now, self.wanted, self.least, self.most)
        return (self.what, *("–" if count is None else str(count) for count in counts), self.target)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One scaling activity, the words AWS's own but for the cause's names."""

    when: datetime
    what: str
    did: str
    status: str
    why: str

    @property
    def row(self) -> tuple[str, ...]:
        return (f"{self.when:%Y-%m-%d %H:%M:%S}", self.what, self.did, self.status, self.why)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is scaled, and the last activities, the newest first."""

    scaled: tuple[Scaled, ...]
    activities: tuple[Activity, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, default=datetime.isoformat)

    def show(self, screen: Screen) -> None:
        screen.table(HEADINGS, [each.row for each in self.scaled])
        if self.activities:
            screen.say("\nlast activities (UTC)")
            screen.table(ACTIVITY_HEADINGS, [each.row for each in self.activities])


def autoscale(session: Session) -> Report:
    """Registers what should scale, deregisters what should not, and looks. Raises DeployError."""
    settings, call = session.settings, session.call
    for spec in endpoint_specs(settings):
        check_scaling(spec)
    _require_deployed(settings, call)
    wanted = all_targets(settings)
    session.settle((*wanted, *_unwanted(settings, call, [each.address for each in wanted])))
    return report(settings, call)


def _require_deployed(settings: Settings, call: Call) -> None:
    """Raises DeployError where a deploy has to come first: what is registered must run as deploy.toml says."""
    for spec in endpoint_specs(settings):
        targets = scalable_targets(spec)
        running = running_forms(spec.name, call) if targets else {}
        for target in targets:
            if target.resource not in running:
                raise DeployError(f"{target.resource}: does not run yet; ./inv deploy makes it, and scales it too")
            if running[target.resource] != target.form:
                raise DeployError(
                    f"{target.resource}: runs as {running[target.resource]} and should be {target.form}; "
                    "./inv deploy changes it, and registers it again after"
                )
    for target in function_targets(settings):
        _, function, alias = target.resource.split(":")
        if lookup(call, lambda_("GetAlias", FunctionName=function, Name=alias)) is None:
            raise DeployError(f"{target.resource}: is not there yet; ./inv deploy makes it, and scales it too")


def _unwanted(settings: Settings, call: Call, wanted: Iterable[str]) -> Iterator[Obsolete]:
    kind = BY_NAME["scalable-target"]
    kept = set(wanted)
    for address, state in inventory(settings, call, [kind]).items():
        if address not in kept:
            step = kind.remove(address.partition("/")[2], settings)
            yield Obsolete(address=address, reason="should not scale any more", step=step, state=state)


def report(settings: Settings, call: Call) -> Report:
    """How everything that could scale stands. Changes nothing."""
    scaled = [each for spec in endpoint_specs(settings) for each in _variants(spec.name, call)]
    functions = [_function(target.resource, call) for target in function_targets(settings)]
    resources = [each.what for each in (*scaled, *functions) if each.least is not None]
    found = sorted((each for name in resources for each in _activities(name, call)), key=lambda each: each.when)
    return Report(scaled=(*scaled, *functions), activities=tuple(reversed(found[-LAST:])))


def _variants(endpoint: str, call: Call) -> Iterator[Scaled]:
    request = sagemaker("DescribeEndpoint", EndpointName=endpoint)
    found = lookup(call, request) or {}
    for variant in found.get("ProductionVariants", ()):
        counts = variant.get("CurrentInstanceCount"), variant.get("DesiredInstanceCount")
        yield _scaled(f"endpoint/{endpoint}/variant/{variant['VariantName']}", counts, found["EndpointStatus"], call)


def _function(resource: str, call: Call) -> Scaled:
    _, function, alias = resource.split(":")
    request = lambda_("GetProvisionedConcurrencyConfig", FunctionName=function, Qualifier=alias)
    found = lookup(call, request) or {}
    names = ("AllocatedProvisionedConcurrentExecutions", "RequestedProvisionedConcurrentExecutions")
    return _scaled(resource, (found.get(names[0]), found.get(names[1])), "InService", call)


def _scaled(resource: str, counts: tuple[int | None, int | None], status: str, call: Call) -> Scaled:
    target = describe(resource, call) or {}
    words = _policies(resource, call) if target else "does not scale"
    if target and status != "InService":
        words += f" (waits: {status})"
    return Scaled(
        what=resource, now=counts[0], wanted=counts[1], least=target.get("MinCapacity"),
        most=target.get("MaxCapacity"), target=words,
    )  # fmt: skip


def _policies(resource: str, call: Call) -> str:
    answer = call(autoscaling("DescribeScalingPolicies", **key_of(resource)))
    tracking = "TargetTrackingScalingPolicyConfiguration"
    found = answer.get("ScalingPolicies", ())
    known = {from_zero.POLICY: "the first that waits wakes it"}
    return ", ".join(
        metric_words(each[tracking]) if tracking in each else known.get(each["PolicyName"], each["PolicyName"])
        for each in found
    )


def _activities(resource: str, call: Call) -> Iterator[Activity]:
    params = {**key_of(resource), "MaxResults": LAST, "IncludeNotScaledActivities": True}
    for found in call(autoscaling("DescribeScalingActivities", **params)).get("ScalingActivities", ()):
        if AT_REST in _reasons(found):
            continue  # nothing to do is no news
        yield Activity(
            when=found["StartTime"].astimezone(UTC),
            what=resource,
            did=found["Description"].rstrip("."),
            status=_status(found),
            why=_why(found),
        )


def _status(found: Mapping[str, Any]) -> str:
    """AWS marks what it chose not to do as failed."""
    return "not scaled" if found.get("NotScaledReasons") else str(found["StatusCode"]).lower()


def _why(found: Mapping[str, Any]) -> str:
    """A cause or a failure without the name of the alarm, which is long and says nothing more."""
    if _reasons(found):
        return ", ".join("it has its maximum already" if each == AT_MOST else each for each in _reasons(found))
    if found["StatusCode"] == "Failed":
        return str(found.get("StatusMessage", "no reason given"))
    cause = str(found["Cause"])
    for mark, words in WORDS.items():
        if mark in cause:
            return words
    return cause


def _reasons(found: Mapping[str, Any]) -> list[str]:
    return [each["Code"] for each in found.get("NotScaledReasons", ())]
