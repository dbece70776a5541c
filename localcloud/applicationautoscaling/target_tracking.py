"""Target tracking: a policy's alarms, and the capacity that its metric requires. Pure.

After "Target tracking scaling policies" of the Application Auto Scaling user guide. A policy scales out to what the
metric requires after 3 minutes above the target, and in by one instance after 15 minutes below nine tenths of it.
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
    """The metric of a policy: its name, its statistic, and its period in seconds."""

    metric: Metric
    statistic: str
    period: int


def tracked(config: Mapping[str, Any], resource: str) -> Tracked:
    """The metric that a TargetTrackingScalingPolicyConfiguration follows for a resource (rules 48, 68)."""
    if "CustomizedMetricSpecification" in config:
        custom = config["CustomizedMetricSpecification"]
        named = Metric(
            namespace=custom["Namespace"],
            name=custom["MetricName"],
            dimensions=dimensions_of(custom.get("Dimensions", ())),
        )
        return Tracked(metric=named, statistic=custom["Statistic"], period=60)
    metric_type = config["PredefinedMetricSpecification"]["PredefinedMetricType"]
    if metric_type == "LambdaProvisionedConcurrencyUtilization":
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
    }[metric_type]  # fmt: skip
    at = {"EndpointName": endpoint, "VariantName": variant}
    return Tracked(metric=metric("AWS/SageMaker", name, **at), statistic=statistic, period=period)


def alarms(config: Mapping[str, Any], resource: str, suffix: str, action: str) -> tuple[Alarm, ...]:
    """AlarmHigh, and AlarmLow unless DisableScaleIn. `suffix` ends their names; `action` is the policy's ARN."""
    follows, target = tracked(config, resource), float(config["TargetValue"])
    minute = 60 // follows.period

    def alarm(kind: str, comparison: str, threshold: float, periods: int) -> Alarm:
        return Alarm(
            name=f"TargetTracking-{resource}-{kind}-{suffix}", metric=follows.metric, statistic=follows.statistic,
            period=follows.period, comparison=comparison, threshold=threshold, evaluation_periods=periods,
            datapoints_to_alarm=periods, actions=(action,),
        )  # fmt: skip

    high = alarm("AlarmHigh", "GreaterThanThreshold", target, 3)
    if config.get("DisableScaleIn"):
        return (high,)
    return high, alarm("AlarmLow", "LessThanThreshold", SCALE_IN_SHARE * target, 15 * minute)


def desired(*, current: int, value: float, target: float, is_out: bool) -> int:
    """The desired capacity: what the metric requires when scaling out, at most one less when scaling in."""
    required = math.ceil(round(current * value / target, 6))
    if is_out:
        return max(required, current, 1)
    return min(max(required, current - 1), current)
