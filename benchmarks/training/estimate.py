"""From a peer's short job to its whole one: what it did once stays, what it does for each picture is multiplied."""

from __future__ import annotations

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
    wall: float, outcome: Outcome, timed: Mapping[str, int], all_of_them: Mapping[str, int], *, drops_last: int
) -> Whole:
    """The whole job behind a short one that took `wall` seconds over `timed` pictures of each split.

    The last epoch gives the pace, since workers are up and memory is warm by then; what the first took more counts
    once. drops_last: the batch, for a trainer that leaves out an incomplete last one, else 1. Raises ValueError for
    fewer than two epochs.
    """
    if len(outcome.training) < 2:
        raise ValueError("two epochs are needed to tell the first one's start from the pace")
    seen = all_of_them["train"] // drops_last * drops_last
    learning = outcome.training[-1] / (timed["train"] // drops_last * drops_last)
    validating = outcome.validating[-1] / timed["valid"]
    testing = outcome.testing / timed["test"]
    epochs = len(outcome.training) * (outcome.training[-1] + outcome.validating[-1])
    return Whole(
        once=max(0.0, wall - epochs - outcome.testing),
        epoch=learning * seen + validating * all_of_them["valid"],
        test=testing * all_of_them["test"],
    )


def pace(outcome: Outcome, batch: int) -> float:
    """Pictures a second over all steps but an epoch's first, which waits for its loader."""
    return batch * len(outcome.steps) / sum(outcome.steps)


def learned(losses: tuple[float, ...]) -> bool:
    """The loss fell from the first to the last of `losses`."""
    return len(losses) > 1 and losses[-1] < losses[0]
