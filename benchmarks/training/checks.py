"""No speed by skipping work: what must hold of a run before its time counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.training.estimate import learned
from benchmarks.training.job import Outcome
from benchmarks.training.ours import Trained

TOP1_TOLERANCE = 0.005
# Ours evaluates what serves, which may be 8-bit integers: on the 661 test pictures of five seeds 0.3 to 1.2 points off
# (better). More than this would be another network.
PACKAGED_TOLERANCE = 0.02


class CheckError(RuntimeError):
    """A run that did not do the work that it was timed for."""


def peers_alike(outcomes: Mapping[str, Outcome], *, files: str) -> int:
    """Parameters that each peer trains: as many as the others, on the pictures of `files`. Raises CheckError."""
    strangers = [name for name, outcome in outcomes.items() if outcome.files != files]
    if strangers:
        raise CheckError(f"{', '.join(strangers)}: trained on other pictures")
    trained = {outcome.trained for outcome in outcomes.values()}
    if len(trained) != 1:
        each = ", ".join(f"{name} {outcome.trained}" for name, outcome in outcomes.items())
        raise CheckError(f"they train different numbers of parameters: {each}")
    return trained.pop()


def peer_learns(name: str, losses: Sequence[float]) -> None:
    """The loss is a number, and falls where there are two epochs or more. Raises CheckError."""
    if not all(math.isfinite(loss) for loss in losses):
        raise CheckError(f"{name}: the loss is no number: {list(losses)}")
    if len(losses) > 1 and not learned(tuple(losses)):
        raise CheckError(f"{name}: the loss does not fall: {list(losses)}")


def ours_whole(run: Trained, *, counts: Mapping[str, int], epochs: int) -> None:
    """Ours saw all pictures in all epochs, and learnt. Raises CheckError."""
    if dict(run.counts) != dict(counts):
        raise CheckError(f"ours saw {dict(run.counts)}, not {dict(counts)}")
    if len(run.epochs) != epochs:
        raise CheckError(f"ours trained {len(run.epochs)} epochs, not {epochs}")
    peer_learns("ours", run.losses)


def accuracy_agrees(reported: float, measured: float) -> None:
    """What a trainer says of its model is what the judge finds. Raises CheckError."""
    if abs(reported - measured) > PACKAGED_TOLERANCE:
        raise CheckError(f"ours says top-1 {reported:.4f} on test, float32 torch finds {measured:.4f}")
