"""Step scaling: the capacity that a breach leads to. Pure. After the reference of StepScalingPolicyConfiguration."""

import math
from collections.abc import Mapping
from typing import Any


def desired(config: Mapping[str, Any], *, current: int, breach: float) -> int:
    """The capacity after the step whose interval contains `breach`, the metric minus the alarm's threshold."""
    step = next((step for step in config.get("StepAdjustments", ()) if _contains(step, breach)), None)
    if step is None:
        return current
    adjustment, adjustment_type = int(step["ScalingAdjustment"]), config.get("AdjustmentType", "ChangeInCapacity")
    if adjustment_type == "ExactCapacity":
        return adjustment
    if adjustment_type == "PercentChangeInCapacity":
        adjustment = _percent(current, adjustment, int(config.get("MinAdjustmentMagnitude", 0)))
    return current + adjustment


def _contains(step: Mapping[str, Any], breach: float) -> bool:
    lower, upper = step.get("MetricIntervalLowerBound", -math.inf), step.get("MetricIntervalUpperBound", math.inf)
    if breach < 0:
        return bool(lower < breach <= upper)
    return bool(lower <= breach < upper)


def _percent(current: int, percent: int, minimum: int) -> int:
    """A percentage of the capacity, rounded towards zero, but at least 1 and at least `minimum` in magnitude."""
    share = current * percent / 100
    whole = math.trunc(share) if abs(share) >= 1 else int(math.copysign(1, share))
    return int(math.copysign(max(abs(whole), minimum), percent))
