"""The deadline of a request, shared by all its steps."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A moment, `seconds` from now by `clock`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    def remaining(self) -> float:
        """Seconds left, always above 0. Raises TimeoutError after the deadline."""
        left = self._at - self._clock()
        if left <= 0:
            raise TimeoutError("the time for this request is used up")
        return left

    def within(self, seconds: float) -> Deadline:
        """A deadline `seconds` from now, but never later than this one."""
        return Deadline(min(seconds, self._at - self._clock()), self._clock)
