"""A moment by which everything must be done, shared by all that one request does."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """`seconds` from now, by `clock`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, always more than 0. Raises TimeoutError when none are."""
        left = self._at - self._clock()
        if left <= 0:
            raise TimeoutError("the time for this request is used up")
        return left

    def within(self, seconds: float) -> Deadline:
        """A part of the time: `seconds` from now, never later than this deadline."""
        return Deadline(min(seconds, self._at - self._clock()), self._clock)
