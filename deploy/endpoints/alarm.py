"""The alarms of an endpoint: too many failed requests, or too slow ones. A rollout goes back when one rings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import cloudwatch
from deploy.aws.tags import tag_list, tags_of
from deploy.config.endpoint import Rollout
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, State, Step, differences

MOST = 10  # of an endpoint's deployment (rule 55)
PERIOD_S = 60


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm on one variant. `threshold` is in the metric's unit: a share for errors, microseconds for latency.

    What an endpoint does not publish (nobody asks) does not ring.
    """

    name: str
    description: str
    metric: str
    statistic: str
    threshold: float
    endpoint: str
    variant: str
    arn: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"alarm/{self.name}"

    def desired(self) -> dict[str, Any]:
        percentile = self.statistic.startswith("p")
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": self.metric,
            "Dimensions": [
                {"Name": "EndpointName", "Value": self.endpoint}, {"Name": "VariantName", "Value": self.variant},
            ],
            "ExtendedStatistic" if percentile else "Statistic": self.statistic,
            "Period": PERIOD_S,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "Threshold": self.threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmDescription": self.description,
        }  # fmt: skip

    def read(self, call: Call) -> State | None:
        request = cloudwatch("DescribeAlarms", AlarmNames=[self.name], AlarmTypes=["MetricAlarm"])
        found = call(request).get("MetricAlarms", ())
        if not found:
            return None
        fields = {name: found[0].get(name) for name in self.desired()}
        fields["Dimensions"] = sorted(found[0].get("Dimensions", ()), key=lambda entry: str(entry["Name"]))
        tags = tags_of(call(cloudwatch("ListTagsForResource", ResourceARN=self.arn)).get("Tags", ()))
        return State(fields=fields, attributes={"arn": self.arn}, tags=tags, status=found[0].get("StateValue", ""))

    def plan(self, seen: State | None) -> Step:
        put = cloudwatch("PutMetricAlarm", AlarmName=self.name, Tags=tag_list(self.tags), **self.desired())
        if seen is None:
            return Step(action="create", address=self.address, reason=self.description, acts=(put,))
        require_ours(self.address, seen, self.tags)
        changes = differences(seen.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        return Step(action="update", address=self.address, reason="differs", acts=(put,), changes=changes)


def alarm_names(settings: Settings, endpoint: str) -> tuple[str, ...]:
    """The names of an endpoint's alarms, as its deployments name them. `endpoint` is its name in AWS."""
    return tuple(alarm.name for alarm in alarms(settings, endpoint))


def alarms(settings: Settings, endpoint: str) -> tuple[Alarm, ...]:
    """The alarms that [endpoint.rollout] asks for, for each variant. Raises DeployError for more than AWS takes."""
    wanted = settings.all_endpoints[endpoint]
    made = [
        _alarm(settings, endpoint, variant, rule) for variant in wanted.all_variants for rule in _rules(wanted.rollout)
    ]
    if len(made) > MOST:
        raise DeployError(
            f"{endpoint}: {len(wanted.variants)} variants make {len(made)} alarms and a deployment takes {MOST}: "
            "leave max_error_percent or max_latency_ms out (rule 55)"
        )
    return tuple(made)


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What one key of [endpoint.rollout] asks of a metric."""

    name: str
    metric: str
    statistic: str
    threshold: float
    said: str


def _rules(rollout: Rollout) -> tuple[_Rule, ...]:
    share, milliseconds = rollout.max_error_percent, rollout.max_latency_ms
    errors = _Rule(
        name="errors", metric="Invocation5XXErrors", statistic="Average", threshold=share / 100,
        said=f"more than {share:g} % of the requests fail (5xx)",
    )  # fmt: skip
    latency = _Rule(
        name="latency", metric="ModelLatency", statistic="p90", threshold=milliseconds * 1000.0,
        said=f"one request in ten takes more than {milliseconds} ms",
    )  # fmt: skip
    return (*((errors,) if share else ()), *((latency,) if milliseconds else ()))


def _alarm(settings: Settings, endpoint: str, variant: str, rule: _Rule) -> Alarm:
    name = f"{endpoint}-{variant}-{rule.name}"
    return Alarm(
        name=name,
        description=f"{endpoint}, {variant}: {rule.said}",
        metric=rule.metric,
        statistic=rule.statistic,
        threshold=rule.threshold,
        endpoint=endpoint,
        variant=variant,
        arn=settings.arn("cloudwatch", f"alarm:{name}"),
        tags=settings.tags,
    )


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    arn = settings.arn("cloudwatch", f"alarm:{name}")
    return tags_of((lookup(call, cloudwatch("ListTagsForResource", ResourceARN=arn)) or {}).get("Tags", ()))


def _state(name: str, _: Settings, call: Call) -> str:
    found = call(cloudwatch("DescribeAlarms", AlarmNames=[name])).get("MetricAlarms", ())
    return str(found[0]["StateValue"]) if found else "gone"


def _remove(name: str, _: Settings) -> Step:
    return delete(f"alarm/{name}", cloudwatch("DeleteAlarms", AlarmNames=[name]))


KIND = ResourceKind(
    name="alarm",
    names=listing("cloudwatch", "DescribeAlarms", "MetricAlarms", "AlarmName", AlarmNamePrefix="{prefix}-"),
    tags=_tags,
    remove=_remove,
    state=_state,
)
