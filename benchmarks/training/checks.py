"""Checks that a run did all of its work, so that skipping work never counts as speed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.training.estimate import learned
from benchmarks.training.job import Outcome
from benchmarks.training.ours import Trained

TOP1_TOLERANCE = 0.005
# Ours evaluates the network as it will be served, which may use 8-bit integers: on the 661 test pictures its top-1 was
# 0.3 to 1.2 points higher than float32's over five seeds. A larger difference would mean another network.
PACKAGED_TOLERANCE = 0.02


class CheckError(RuntimeError):
    """A run did not do the work that it was timed for."""


def peers_alike(outcomes: Mapping[str, Outcome], *, files: str) -> int:
    """Checks that all peers trained on the pictures with the digest `files` and trained the same number of parameters.

    Returns that number. Raises CheckError.
    """
    different = [name for name, outcome in outcomes.items() if outcome.files != files]
    if different:
        raise CheckError(f"{', '.join(different)}: trained on other pictures")
    trained = {outcome.trained for outcome in outcomes.values()}
    if len(trained) != 1:
        each = ", ".join(f"{name} {outcome.trained}" for name, outcome in outcomes.items())
        raise CheckError(f"they train different numbers of parameters: {each}")
    return trained.pop()


def peer_learns(name: str, losses: Sequence[float]) -> None:
    """Checks that the loss is finite and, over two epochs or more, falls. Raises CheckError."""
    if not all(math.isfinite(loss) for loss in losses):
        raise CheckError(f"{name}: the loss is not finite: {list(losses)}")
    if len(losses) > 1 and not learned(tuple(losses)):
        raise CheckError(f"{name}: the loss does not fall: {list(losses)}")


def ours_whole(run: Trained, *, counts: Mapping[str, int], epochs: int) -> None:
    """Checks that ours trained all epochs on all pictures, and learnt. Raises CheckError."""
    if dict(run.counts) != dict(counts):
        raise CheckError(f"ours saw {dict(run.counts)}, not {dict(counts)}")
    if len(run.epochs) != epochs:
        raise CheckError(f"ours trained {len(run.epochs)} epochs, not {epochs}")
    peer_learns("ours", run.losses)


def accuracy_agrees(reported: float, measured: float) -> None:
    """Checks that the top-1 our trainer reports agrees with the one that float32 torch measures. Raises CheckError."""
    if abs(reported - measured) > PACKAGED_TOLERANCE:
        raise CheckError(f"ours reports test top-1 {reported:.4f}, float32 torch measures {measured:.4f}")
