"""A job's progress: its epochs, and the time left at the speed of the epochs so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Progress:
    """Turns metric lines into progress lines. `epochs` is the job's number of epochs (0: unknown)."""

    epochs: int = 0
    _ends: list[tuple[float, float]] = field(default_factory=list)

    def update(self, values: Mapping[str, float], when: float) -> str:
        """The progress line for a metric line written at `when` (seconds): epoch, losses, top-1, time left."""
        if "epoch" not in values:
            return "   ".join(["         ", *_scores(values)])
        self._ends.append((values["epoch"], when))
        of = f"/{self.epochs}" if self.epochs else ""
        left = self.left()
        rest = [f"{duration(left)} left"] if left else []
        return "   ".join([f"epoch {values['epoch']:3.0f}{of}", *_scores(values), *rest])

    def left(self) -> float | None:
        """Seconds until the last epoch ends; None before two epochs have ended."""
        if not self.epochs or len(self._ends) < 2:
            return None
        (first, began), (last, ended) = self._ends[0], self._ends[-1]
        if last <= first or ended <= began:
            return None
        return max(0.0, (self.epochs - last) * (ended - began) / (last - first))


def duration(seconds: float) -> str:
    """42 s, 3 min, 2 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _scores(values: Mapping[str, float]) -> list[str]:
    return [
        f"{split} loss {values[f'{split}_loss']:.3f} top-1 {values[f'{split}_top1']:6.1%}"
        for split in ("train", "valid", "test")
        if f"{split}_loss" in values and f"{split}_top1" in values
    ]
