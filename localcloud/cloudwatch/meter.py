"""Counts the requests of one endpoint variant or function between two CloudWatch measurements."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ServedRequest:
    """One request that reached a model: the model's status (0: no answer), and where the time went (seconds)."""

    instances: int
    status: int
    model_s: float
    overhead_s: float


@dataclass(kw_only=True)
class Meter:
    """One variant's requests since the last look. Thread-safe."""

    clock: Callable[[], float]
    answered: list[ServedRequest] = field(default_factory=list)
    active: int = 0
    _busy: float = 0.0  # request-seconds since the last look
    _peak: int = 0
    _looked: float = field(init=False)
    _moved: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._looked = self._moved = self.clock()

    def begin(self) -> None:
        self._move(1)

    def end(self) -> None:
        self._move(-1)

    def record(self, answered: ServedRequest) -> None:
        with self._lock:
            self.answered.append(answered)

    def _move(self, change: int) -> None:
        with self._lock:
            self._advance()
            self.active += change
            self._peak = max(self._peak, self.active)

    def _advance(self) -> None:
        now = self.clock()
        self._busy += self.active * (now - self._moved)
        self._moved = now

    def drain(self) -> tuple[list[ServedRequest], float, int]:
        """What was answered since the last look, and how many were being served at once: on average, and at most."""
        with self._lock:
            self._advance()
            elapsed = self._moved - self._looked
            average = self._busy / elapsed if elapsed > 0 else float(self.active)
            answered, self.answered = self.answered, []
            peak, self._peak, self._busy, self._looked = self._peak, self.active, 0.0, self._moved
        return answered, average, peak
