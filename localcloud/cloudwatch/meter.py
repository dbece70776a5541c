"""Counts the requests of one endpoint variant or function version between two CloudWatch measurements."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServedRequest:
    """One request that reached a model: the HTTP status (0: no response), seconds in the model and around it."""

    instances: int
    status: int
    model_s: float
    overhead_s: float


class Meter:
    """One variant's requests since the last `drain`. `active` is how many are being served. Thread-safe."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.active = 0
        self._clock = clock
        self._served: list[ServedRequest] = []
        self._busy = 0.0  # request-seconds since the last drain
        self._peak = 0
        self._drained_at = self._advanced_at = clock()
        self._lock = threading.Lock()

    def begin(self) -> None:
        self._change(1)

    def end(self) -> None:
        self._change(-1)

    def record(self, request: ServedRequest) -> None:
        with self._lock:
            self._served.append(request)

    def _change(self, change: int) -> None:
        with self._lock:
            self._advance()
            self.active += change
            self._peak = max(self._peak, self.active)

    def _advance(self) -> None:
        now = self._clock()
        self._busy += self.active * (now - self._advanced_at)
        self._advanced_at = now

    def drain(self) -> tuple[list[ServedRequest], float, int]:
        """The requests served since the last call, and how many were active at once: the average and the peak."""
        with self._lock:
            self._advance()
            elapsed = self._advanced_at - self._drained_at
            average = self._busy / elapsed if elapsed > 0 else float(self.active)
            served, self._served = self._served, []
            peak, self._peak, self._busy, self._drained_at = self._peak, self.active, 0.0, self._advanced_at
        return served, average, peak
