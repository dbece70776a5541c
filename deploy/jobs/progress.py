"""How far a job is: its epochs, and the seconds that are left at the pace of the epochs that it has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Pace:
    """Hears of each epoch's end. `epochs` is how many there will be (0: not known)."""

    epochs: int = 0
    _ends: list[tuple[float, float]] = field(default_factory=list)

    def hear(self, values: Mapping[str, float], when: float) -> str:
        """What to say of a metric line that was written at `when` (seconds): the epoch, losses, top-1, time left."""
        if "epoch" not in values:
            return "   ".join(["         ", *_scores(values)])
        self._ends.append((values["epoch"], when))
        of = f"/{self.epochs}" if self.epochs else ""
        left = self.left()
        rest = [f"{duration(left)} left"] if left else []
        return "   ".join([f"epoch {values['epoch']:3.0f}{of}", *_scores(values), *rest])

    def left(self) -> float | None:
        """Seconds until the last epoch's end; None before two ends are known."""
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
