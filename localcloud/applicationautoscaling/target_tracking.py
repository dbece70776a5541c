"""Target tracking: the alarms that a policy makes, and how much capacity its metric asks for. Pure.

After "Target tracking scaling policies" of the Application Auto Scaling user guide: out as far as the metric says once
3 minutes in a row were above the target, in by one instance once 15 were below nine tenths of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.metrics import Metric, dimensions_of, metric

DEFAULT_COOLDOWN = 300  # rule 49
SCALE_IN_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """The metric of a policy: which, as which statistic, over how many seconds."""

    metric: Metric
    statistic: str
    period: int


def tracked(config: Mapping[str, Any], resource: str) -> Tracked:
    """The metric that a TargetTrackingScalingPolicyConfiguration follows for a resource (rules 48, 68)."""
    if "CustomizedMetricSpecification" in config:
        given = config["CustomizedMetricSpecification"]
        named = Metric(
            namespace=given["Namespace"],
            name=given["MetricName"],
            dimensions=dimensions_of(given.get("Dimensions", ())),
        )
        return Tracked(metric=named, statistic=given["Statistic"], period=60)
    kind = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    if kind == "LambdaProvisionedConcurrencyUtilization":
        _, function, qualifier = resource.split(":")
        named = metric(
            "AWS/Lambda", "ProvisionedConcurrencyUtilization", FunctionName=function, Resource=f"{function}:{qualifier}"
        )
        return Tracked(metric=named, statistic="Average", period=60)
    _, endpoint, _, variant = resource.split("/")
    name, statistic, period = {
        "SageMakerVariantInvocationsPerInstance": ("InvocationsPerInstance", "Sum", 60),
        "SageMakerVariantConcurrentRequestsPerModelHighResolution": ("ConcurrentRequestsPerModel", "Average", 10),
        "SageMakerVariantProvisionedConcurrencyUtilization": (
            "ServerlessProvisionedConcurrencyUtilization", "Maximum", 60,
        ),
    }[kind]  # fmt: skip
    at = {"EndpointName": endpoint, "VariantName": variant}
    return Tracked(metric=metric("AWS/SageMaker", name, **at), statistic=statistic, period=period)


def alarms(config: Mapping[str, Any], resource: str, mark: str, action: str) -> tuple[Alarm, ...]:
    """AlarmHigh, and AlarmLow unless scaling in is off. `mark` ends their names, `action` is the policy's ARN."""
    follows, target = tracked(config, resource), float(config["TargetValue"])
    minute = 60 // follows.period

    def alarm(what: str, comparison: str, threshold: float, periods: int) -> Alarm:
        return Alarm(
            name=f"TargetTracking-{resource}-{what}-{mark}", metric=follows.metric, statistic=follows.statistic,
            period=follows.period, comparison=comparison, threshold=threshold, evaluation_periods=periods,
            datapoints_to_alarm=periods, actions=(action,),
        )  # fmt: skip

    high = alarm("AlarmHigh", "GreaterThanThreshold", target, 3)
    if config.get("DisableScaleIn"):
        return (high,)
    return high, alarm("AlarmLow", "LessThanThreshold", SCALE_IN_SHARE * target, 15 * minute)


def desired(*, current: int, value: float, target: float, is_out: bool) -> int:
    """How many there should be: all that the metric asks for when going out, at most one less when going in."""
    asked = math.ceil(round(current * value / target, 6))
    if is_out:
        return max(asked, current, 1)
    return min(max(asked, current - 1), current)
