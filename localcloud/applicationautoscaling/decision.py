"""Decides a target's new capacity from its policies' proposals, its bounds and its cooldowns. Pure.

After "How target tracking scaling works" and "Define cooldown periods" of the Application Auto Scaling user guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcloud.applicationautoscaling.records import Move


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The capacity that one policy proposes because one of its alarms is in ALARM. Cooldowns: real seconds."""

    policy: str
    alarm: str
    count: int
    cooldown_out: float
    cooldown_in: float

    @property
    def cause(self) -> str:
        return f"monitor alarm {self.alarm} in state ALARM triggered policy {self.policy}"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A move to `count`; or, with `not_scaled`, the reason why a proposal moves nothing."""

    count: int
    proposal: Proposal
    not_scaled: str = ""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """A target's minimum and maximum capacity, and its suspended scaling."""

    minimum: int
    maximum: int
    suspended: Mapping[str, bool]


def decide(
    proposals: Sequence[Proposal], *, current: int, bounds: Bounds, voters: int, moved: Move | None, now: float
) -> Decision | None:
    """The decision; None when nothing changes. `voters`: how many policies must propose to scale in.

    A scale-out takes the largest proposal, even during the cooldown of a scale-in. During the cooldown of a scale-out,
    it adds only what exceeds the last one. A scale-in waits for the cooldown of the last scale-in, and takes the
    largest proposal, which removes least.
    """
    outs = [each for each in proposals if each.count > current]
    ins = [each for each in proposals if each.count < current]
    cooling = moved is not None and now < moved.ended + moved.cooldown
    if outs:
        if bounds.suspended.get("DynamicScalingOutSuspended"):
            return None
        largest = max(outs, key=lambda each: each.count)
        return _out(largest, current, bounds, moved if cooling else None)
    if ins and len(ins) >= voters and not bounds.suspended.get("DynamicScalingInSuspended"):
        if cooling and moved is not None and not moved.is_out:
            return None
        return _in(max(ins, key=lambda each: each.count), current, bounds)
    return None


def _out(proposal: Proposal, current: int, bounds: Bounds, cooling: Move | None) -> Decision | None:
    """`cooling`: the last move, during its cooldown."""
    if current >= bounds.maximum:
        return Decision(count=current, proposal=proposal, not_scaled="AlreadyAtMaxCapacity")
    count = min(proposal.count, bounds.maximum)
    if cooling is not None and cooling.is_out:
        count -= cooling.after - cooling.before
    return Decision(count=count, proposal=proposal) if count > current else None


def _in(proposal: Proposal, current: int, bounds: Bounds) -> Decision:
    count = max(proposal.count, bounds.minimum)
    if count >= current:
        return Decision(count=current, proposal=proposal, not_scaled="AlreadyAtMinCapacity")
    return Decision(count=count, proposal=proposal)
