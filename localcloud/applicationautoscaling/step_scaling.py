"""Step scaling: how far a breach moves the capacity. Pure. After StepScalingPolicyConfiguration's reference."""

import math
from collections.abc import Mapping
from typing import Any


def desired(config: Mapping[str, Any], *, current: int, breach: float) -> int:
    """The capacity after the step whose interval holds `breach`, the metric less the alarm's threshold."""
    step = next((step for step in config.get("StepAdjustments", ()) if _holds(step, breach)), None)
    if step is None:
        return current
    by, kind = int(step["ScalingAdjustment"]), config.get("AdjustmentType", "ChangeInCapacity")
    if kind == "ExactCapacity":
        return by
    if kind == "PercentChangeInCapacity":
        by = _percent(current, by, int(config.get("MinAdjustmentMagnitude", 0)))
    return current + by


def _holds(step: Mapping[str, Any], breach: float) -> bool:
    lower, upper = step.get("MetricIntervalLowerBound", -math.inf), step.get("MetricIntervalUpperBound", math.inf)
    if breach < 0:
        return bool(lower < breach <= upper)
    return bool(lower <= breach < upper)


def _percent(current: int, percent: int, least: int) -> int:
    """A share of the capacity, towards zero but for less than one, and at least `least` of it."""
    share = current * percent / 100
    whole = math.trunc(share) if abs(share) >= 1 else int(math.copysign(1, share))
    return int(math.copysign(max(abs(whole), least), percent))
