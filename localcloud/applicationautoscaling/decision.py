"""Whether a target moves, and how far: what its policies propose, within its bounds and cooldowns. Pure.

After "How target tracking scaling works" and "Define cooldown periods" of the Application Auto Scaling user guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcloud.applicationautoscaling.records import Move


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What one policy asks for because one of its alarms rings. Cooldowns are seconds of the clock in use."""

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
    """A move to `count`, or with `not_scaled` why there is none though a policy asks for one."""

    count: int
    proposal: Proposal
    not_scaled: str = ""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Where a target may go: its minimum and maximum, and what is suspended."""

    least: int
    most: int
    suspended: Mapping[str, bool]


def decide(
    proposals: Sequence[Proposal], *, current: int, bounds: Bounds, voters: int, moved: Move | None, now: float
) -> Decision | None:
    """The decision, or None where nothing is to be said. `voters` is how many policies must agree to scale in.

    Out goes as far as the policy that asks for most, at once even while a scale-in rests; while a scale-out rests, only
    what exceeds it is added. In waits until the last scale-in has rested, and for the policy that gives up least.
    """
    outs = [each for each in proposals if each.count > current]
    ins = [each for each in proposals if each.count < current]
    resting = moved is not None and now < moved.ended + moved.cooldown
    if outs:
        if bounds.suspended.get("DynamicScalingOutSuspended"):
            return None
        most = max(outs, key=lambda each: each.count)
        return _out(most, current, bounds, moved if resting else None)
    if ins and len(ins) >= voters and not bounds.suspended.get("DynamicScalingInSuspended"):
        if resting and moved is not None and not moved.is_out:
            return None
        return _in(max(ins, key=lambda each: each.count), current, bounds)
    return None


def _out(proposal: Proposal, current: int, bounds: Bounds, resting: Move | None) -> Decision | None:
    if current >= bounds.most:
        return Decision(count=current, proposal=proposal, not_scaled="AlreadyAtMaxCapacity")
    count = min(proposal.count, bounds.most)
    if resting is not None and resting.is_out:
        count -= resting.after - resting.before
    return Decision(count=count, proposal=proposal) if count > current else None


def _in(proposal: Proposal, current: int, bounds: Bounds) -> Decision:
    count = max(proposal.count, bounds.least)
    if count >= current:
        return Decision(count=current, proposal=proposal, not_scaled="AlreadyAtMinCapacity")
    return Decision(count=count, proposal=proposal)
