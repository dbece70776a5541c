"""The stopwatch that every peer uses; each trainer calls it from its own hooks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.training.job import Outcome


@dataclass(kw_only=True)
class Record:
    """For each epoch call begin, step …, trained, validated; then call tested. `outcome` returns the result."""

    clock: Callable[[], float] = time.perf_counter
    _training: list[float] = field(default_factory=list)
    _validating: list[float] = field(default_factory=list)
    _steps: list[float] = field(default_factory=list)
    _losses: list[float] = field(default_factory=list)
    _epoch: list[float] = field(default_factory=list)
    _at: float = 0.0
    _step_at: float | None = None
    _testing: float = 0.0

    def begin(self) -> None:
        """Call when an epoch begins."""
        self._at = self.clock()
        self._step_at = None
        self._epoch = []

    def step(self, loss: float) -> None:
        """Call after each step. An epoch's first step, which waits for the loader, is not counted."""
        now = self.clock()
        if self._step_at is not None:
            self._steps.append(now - self._step_at)
        self._step_at = now
        self._epoch.append(loss)

    def trained(self) -> None:
        """Call after an epoch's last step."""
        self._training.append(self._lap())
        self._losses.append(sum(self._epoch) / max(1, len(self._epoch)))

    def validated(self) -> None:
        """Call after an epoch's validation."""
        self._validating.append(self._lap())

    def tested(self) -> None:
        """Call after the test split."""
        self._testing = self._lap()

    def outcome(self, *, trained: int, files: str, top1: float) -> Outcome:
        """The outcome of all recorded epochs."""
        return Outcome(
            trained=trained,
            files=files,
            losses=tuple(self._losses),
            training=tuple(self._training),
            validating=tuple(self._validating),
            steps=tuple(self._steps),
            testing=self._testing,
            top1=top1,
        )

    def _lap(self) -> float:
        began, self._at = self._at, self.clock()
        return self._at - began
