"""The alarms of an endpoint: too many failed requests, or too slow ones. A rollout rolls back when one goes off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import cloudwatch
from deploy.aws.tags import tag_list, tags_of
from deploy.config.endpoint import Rollout
from deploy.config.settings import Settings
from deploy.endpoints.spec import EndpointSpec
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, State, Step, differences

PERIOD_S = 60


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm on one variant. `threshold` is in the metric's unit: a share for errors, microseconds for latency.

    An endpoint that gets no requests publishes no metrics; missing data does not set the alarm off.
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
        answer = call(request).get("MetricAlarms", ())
        if not answer:
            return None
        alarm = answer[0]
        fields = {name: alarm.get(name) for name in self.desired()}
        fields["Dimensions"] = sorted(alarm.get("Dimensions", ()), key=lambda entry: str(entry["Name"]))
        tags = tags_of(call(cloudwatch("ListTagsForResource", ResourceARN=self.arn)).get("Tags", ()))
        return State(fields=fields, attributes={"arn": self.arn}, tags=tags, status=alarm.get("StateValue", ""))

    def plan(self, observed: State | None) -> Step:
        put = cloudwatch("PutMetricAlarm", AlarmName=self.name, Tags=tag_list(self.tags), **self.desired())
        if observed is None:
            return Step(action="create", address=self.address, reason=self.description, acts=(put,))
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        return Step(action="update", address=self.address, reason="differs", acts=(put,), changes=changes)


def alarms(spec: EndpointSpec) -> tuple[Alarm, ...]:
    """The alarms of [endpoint.rollout]: one for each variant and each limit that is set."""
    limits = _limits(spec.section.rollout)
    return tuple(_alarm(spec, variant, limit) for variant in spec.section.all_variants for limit in limits)


@dataclass(frozen=True, kw_only=True)
class _Limit:
    """The metric that one key of [endpoint.rollout] limits."""

    name: str
    metric: str
    statistic: str
    threshold: float
    words: str


def _limits(rollout: Rollout) -> tuple[_Limit, ...]:
    percent, milliseconds = rollout.max_error_percent, rollout.max_latency_ms
    errors = _Limit(
        name="errors", metric="Invocation5XXErrors", statistic="Average", threshold=percent / 100,
        words=f"more than {percent:g} % of the requests fail (5xx)",
    )  # fmt: skip
    latency = _Limit(
        name="latency", metric="ModelLatency", statistic="p90", threshold=milliseconds * 1000.0,
        words=f"one request in ten takes more than {milliseconds} ms",
    )  # fmt: skip
    return (*((errors,) if percent else ()), *((latency,) if milliseconds else ()))


def _alarm(spec: EndpointSpec, variant: str, limit: _Limit) -> Alarm:
    name = f"{spec.name}-{variant}-{limit.name}"
    return Alarm(
        name=name,
        description=f"{spec.name}, {variant}: {limit.words}",
        metric=limit.metric,
        statistic=limit.statistic,
        threshold=limit.threshold,
        endpoint=spec.name,
        variant=variant,
        arn=f"{spec.alarm_arns}{name}",
        tags=spec.tags,
    )


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    arn = settings.arn("cloudwatch", f"alarm:{name}")
    return tags_of((lookup(call, cloudwatch("ListTagsForResource", ResourceARN=arn)) or {}).get("Tags", ()))


def _state(name: str, _: Settings, call: Call) -> str:
    answer = call(cloudwatch("DescribeAlarms", AlarmNames=[name])).get("MetricAlarms", ())
    return str(answer[0]["StateValue"]) if answer else "gone"


def _remove(name: str, _: Settings) -> Step:
    return delete(f"alarm/{name}", cloudwatch("DeleteAlarms", AlarmNames=[name]))


KIND = ResourceKind(
    name="alarm",
    names=listing("cloudwatch", "DescribeAlarms", "MetricAlarms", "AlarmName", AlarmNamePrefix="{prefix}-"),
    tags=_tags,
    remove=_remove,
    state=_state,
)
