"""How much a server takes: a search for the highest rate of arrivals whose 99th percentile stays within a bound."""

from __future__ import annotations

import math
from collections.abc import Callable

UP, DOWN = 1.12, 0.8


def highest(passes: Callable[[float], bool], start: float, *, steps: int) -> float:
    """The highest rate that passed, after `steps` rates from `start` on: up or down, then halfway between what passed
    and what did not. When none passed, up to `steps` more are tried, lower and lower; 0 when none of those does.

    What fails is tried once more: a burst of another's on the machine fails a rate that the server can do.
    """
    passed, failed, rate, tried = 0.0, math.inf, start, 0
    while tried < steps or (passed == 0 and tried < 2 * steps):
        if passes(rate) or passes(rate):
            passed = rate
        else:
            failed = rate
        rate = _next(passed, failed)
        tried += 1
    return passed


def _next(passed: float, failed: float) -> float:
    if math.isinf(failed):
        return passed * UP
    if passed == 0:
        return failed * DOWN
    return (passed + failed) / 2
