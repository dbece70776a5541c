"""Extrapolates a peer's short job to its whole job: one-time work counts once, work for each picture is multiplied."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.training.job import Outcome


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Seconds of a whole job: `once` for start, imports, loaders and writing; for each epoch; and for the test."""

    once: float
    epoch: float
    test: float

    def seconds(self, epochs: int) -> float:
        return self.once + epochs * self.epoch + self.test


def whole(
    wall: float,
    outcome: Outcome,
    timed: Mapping[str, int],
    totals: Mapping[str, int],
    *,
    batch: int,
    drops_last: bool,
) -> Whole:
    """Extrapolates a short job that took `wall` seconds over `timed` pictures of each split to `totals`.

    The last epoch gives the speed, because its workers are running and its memory is warm. The extra time of the first
    epoch counts once. Each pass over a split begins with a wait for its loader, which counts once for each pass.
    drops_last: the trainer leaves out an incomplete last batch. Raises ValueError for a job that is too short.
    """
    steps = timed["train"] // batch
    if len(outcome.training) < 2 or steps < 2:
        raise ValueError("two epochs of two steps are needed to separate the start from the speed")
    step = statistics.fmean(outcome.steps[-(steps - 1) :])
    wait = max(0.0, outcome.training[-1] - steps * step)
    steps_of_all = totals["train"] // batch if drops_last else totals["train"] / batch
    validating, testing = (
        _stretched(took, wait, totals[split] / timed[split])
        for took, split in ((outcome.validating[-1], "valid"), (outcome.testing, "test"))
    )
    epochs = len(outcome.training) * (outcome.training[-1] + outcome.validating[-1])
    once = max(0.0, wall - epochs - outcome.testing)
    return Whole(once=once, epoch=wait + steps_of_all * step + validating, test=testing)


def _stretched(took: float, wait: float, times: float) -> float:
    """Seconds for `times` as many pictures, with one wait."""
    wait = min(wait, took)
    return wait + (took - wait) * times


def throughput(outcome: Outcome, batch: int) -> float:
    """Pictures a second over all steps except an epoch's first, which waits for the loader."""
    return batch * len(outcome.steps) / sum(outcome.steps)


def learned(losses: tuple[float, ...]) -> bool:
    """Whether the loss fell from the first to the last of `losses`."""
    return len(losses) > 1 and losses[-1] < losses[0]
