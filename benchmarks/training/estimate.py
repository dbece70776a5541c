"""From a peer's short job to its whole one: what it did once stays, what it does for each picture is multiplied."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.training.job import Outcome


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The seconds of a whole job: `once` (start, imports, loaders, writing), then for each epoch, then the test."""

    once: float
    epoch: float
    test: float

    def seconds(self, epochs: int) -> float:
        return self.once + epochs * self.epoch + self.test


def whole(
    wall: float,
    outcome: Outcome,
    timed: Mapping[str, int],
    all_of_them: Mapping[str, int],
    *,
    batch: int,
    drops_last: bool,
) -> Whole:
    """The whole job behind a short one that took `wall` seconds over `timed` pictures of each split.

    The last epoch gives the pace, since workers are up and memory is warm by then; what the first took more counts
    once. A pass over a split begins with a wait for its loader: that counts once for each pass, as in the whole job.
    drops_last: the trainer leaves out an incomplete last batch. Raises ValueError for too short a job.
    """
    steps = timed["train"] // batch
    if len(outcome.training) < 2 or steps < 2:
        raise ValueError("two epochs of two steps are needed to tell starts from the pace")
    step = statistics.fmean(outcome.steps[-(steps - 1) :])
    wait = max(0.0, outcome.training[-1] - steps * step)
    steps_of_all = all_of_them["train"] // batch if drops_last else all_of_them["train"] / batch
    validating, testing = (
        _stretched(took, wait, all_of_them[split] / timed[split])
        for took, split in ((outcome.validating[-1], "valid"), (outcome.testing, "test"))
    )
    epochs = len(outcome.training) * (outcome.training[-1] + outcome.validating[-1])
    once = max(0.0, wall - epochs - outcome.testing)
    return Whole(once=once, epoch=wait + steps_of_all * step + validating, test=testing)


def _stretched(took: float, wait: float, times: float) -> float:
    """So many times as many pictures, after one wait."""
    wait = min(wait, took)
    return wait + (took - wait) * times


def throughput(outcome: Outcome, batch: int) -> float:
    """Pictures a second over all steps but an epoch's first, which waits for its loader."""
    return batch * len(outcome.steps) / sum(outcome.steps)


def learned(losses: tuple[float, ...]) -> bool:
    """The loss fell from the first to the last of `losses`."""
    return len(losses) > 1 and losses[-1] < losses[0]
