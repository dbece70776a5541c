"""Searches for the highest rate of arrivals that a server can answer within a bound."""

from __future__ import annotations

import math
from collections.abc import Callable

UP, DOWN = 1.12, 0.8


def highest(passes: Callable[[float], bool], start: float, *, steps: int) -> float:
    """The highest rate that passed, after `steps` rates beginning with `start`.

    The search goes up or down, then halfway between the highest rate that passed and the lowest that failed. If none
    passed, it tries up to `steps` more rates, each lower, and returns 0 if they all fail. A rate that fails is tried
    once more, because a burst of other load on the machine can fail a rate that the server can answer.
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
