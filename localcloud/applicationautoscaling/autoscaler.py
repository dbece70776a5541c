"""The autoscaler: looks at every scalable target at each tick, and moves those whose alarms or schedules say so."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.applicationautoscaling import step_scaling, target_tracking
from localcloud.applicationautoscaling.decision import Bounds, Decision, Proposal, decide
from localcloud.applicationautoscaling.records import Action, Move, Policy, Records, Target
from localcloud.applicationautoscaling.scalable import Capacity, Scalable, UnchangeableError
from localcloud.cloudwatch.alarms import Alarm, Alarms
from localcloud.cloudwatch.metrics import Metrics


@dataclass(kw_only=True)
class Autoscaler:
    """`scale` is how many real seconds a second of periods and cooldowns lasts; `next_run` says when an action runs."""

    records: Records
    alarms: Alarms
    metrics: Metrics
    scalables: Mapping[str, Scalable]
    next_run: Callable[[Action], datetime | None]
    scale: float = 1.0

    def look(self, now: float) -> None:
        """One round at a Unix time."""
        ringing = [alarm for alarm in self.alarms.alarms() if alarm.state == "ALARM"]
        with self.records.lock:
            targets = list(self.records.targets.values())
        for target in targets:
            if target.moving is not None:
                self._settle(target, target.moving, now)
            if target.moving is None:
                self._run_due(target)
                self._pay(target, now)
            if target.moving is None:
                self._follow(target, ringing, now)

    # ------------------------------------------------------------------------------------------ schedules

    def _run_due(self, target: Target) -> None:
        for action in list(target.actions.values()):
            if action.next is None or action.next > self.records.now():
                continue
            action.next = self.next_run(action)
            if not target.suspended.get("ScheduledScalingSuspended"):
                self._rebound(target, action)

    def _rebound(self, target: Target, action: Action) -> None:
        """New bounds, and a debt: the capacity is brought within them as soon as the resource can be changed."""
        wanted = action.request["ScalableTargetAction"]
        least, most = wanted.get("MinCapacity", target.least), wanted.get("MaxCapacity", target.most)
        said = " and ".join(
            f"{which} capacity to {wanted[key]}"
            for which, key in (("min", "MinCapacity"), ("max", "MaxCapacity"))
            if key in wanted
        )
        cause = f"scheduled action name {action.name} was triggered"
        activity = self.records.begin(target, f"Setting {said}", cause)
        if least > most:
            self.records.end(activity, "Failed", f"Failed to set {said}: the minimum would exceed the maximum.")
            return
        target.least, target.most = least, most
        target.owed = [
            f"{which} capacity was set to {wanted[key]}"
            for which, key in (("minimum", "MinCapacity"), ("maximum", "MaxCapacity"))
            if key in wanted
        ]
        self.records.end(activity, "Successful", f"Successfully set {said}")

    def _pay(self, target: Target, now: float) -> None:
        capacity = self._capacity(target) if target.owed else None
        if capacity is None or not capacity.steady:
            return
        count = min(max(capacity.desired, target.least), target.most)
        owed, target.owed = target.owed, []
        if count != capacity.desired:
            cause = next((each for each in owed if each.startswith("min") == (count > capacity.desired)), owed[0])
            self._move(target, Move(before=capacity.desired, after=count, cooldown=0, activity={}), cause, now)

    # ------------------------------------------------------------------------------------------ policies

    def _follow(self, target: Target, ringing: Iterable[Alarm], now: float) -> None:
        """Move by the policies whose alarms ring. While somebody else changes the resource, scaling waits."""
        rung = [(policy, alarm) for policy in list(target.policies.values()) for alarm in _of(policy, ringing)]
        capacity = self._capacity(target) if rung else None
        if capacity is None or not capacity.steady:
            return
        asked = [self._proposal(policy, alarm, capacity, target.moved, now) for policy, alarm in rung]
        made = decide(
            [each for each in asked if each is not None],
            current=capacity.desired,
            bounds=Bounds(least=target.least, most=target.most, suspended=target.suspended),
            voters=sum(len(policy.alarms) > 1 for policy in target.policies.values()),
            moved=target.moved,
            now=now,
        )
        if made is not None and made.not_scaled:
            self._tell(target, made)
        elif made is not None:
            out, into = made.proposal.cooldown_out, made.proposal.cooldown_in
            rest = out if made.count > capacity.desired else into
            move = Move(before=capacity.desired, after=made.count, cooldown=rest, activity={})
            self._move(target, move, made.proposal.cause, now)

    def _proposal(
        self, policy: Policy, alarm: Alarm, capacity: Capacity, moved: Move | None, now: float
    ) -> Proposal | None:
        """What a policy asks for by its metric's last whole period; None when that began before the last move ended."""
        period = alarm.period * self.scale
        if moved is not None and (now // period - 1) * period < moved.ended:
            return None  # it tells of another capacity
        value = self.metrics.series(alarm.metric, alarm.statistic, period, 1, now)[0]
        if value is None:
            return None
        if policy.kind == "StepScaling":
            count = step_scaling.desired(policy.config, current=capacity.desired, breach=value - alarm.threshold)
        else:
            count = target_tracking.desired(
                current=capacity.desired,
                value=value,
                target=float(policy.config["TargetValue"]),
                is_out="-AlarmHigh-" in alarm.name,
            )
        out, into = (seconds * self.scale for seconds in policy.cooldowns)
        return Proposal(policy=policy.name, alarm=alarm.name, count=count, cooldown_out=out, cooldown_in=into)

    def _tell(self, target: Target, made: Decision) -> None:
        """Record once why nothing moves, for DescribeScalingActivities with IncludeNotScaledActivities."""
        if target.not_scaled == made.not_scaled:
            return
        target.not_scaled = made.not_scaled
        reason: dict[str, Any] = {"Code": made.not_scaled, "CurrentCapacity": made.count}
        reason |= {"MaxCapacity": target.most} if made.not_scaled.endswith("MaxCapacity") else {}
        reason |= {"MinCapacity": target.least} if made.not_scaled.endswith("MinCapacity") else {}
        said = "Attempting to scale due to alarm triggered"
        activity = self.records.begin(target, said, made.proposal.cause, NotScaledReasons=[reason])
        self.records.end(activity, "Failed", f"Not scaled: {made.not_scaled}")

    # ------------------------------------------------------------------------------------------ moves

    def _capacity(self, target: Target) -> Capacity | None:
        return self.scalables[target.dimension].read(target.resource)

    def _move(self, target: Target, move: Move, cause: str, now: float) -> None:
        scalable = self.scalables[target.dimension]
        move.activity = self.records.begin(target, f"Setting desired {scalable.noun} to {move.after}.", cause)
        target.moving, target.not_scaled = move, ""
        try:
            scalable.put(target.resource, move.after)
        except UnchangeableError as error:
            self._end(target, move, now, f"Reason: {error}")

    def _settle(self, target: Target, move: Move, now: float) -> None:
        capacity = self._capacity(target)
        if capacity is None:
            self._end(target, move, now, "Reason: it is no longer there.")
        elif capacity.steady:
            reached = capacity.current == move.after
            self._end(target, move, now, "" if reached else f"Reason: {capacity.current} are running.")

    def _end(self, target: Target, move: Move, now: float, failure: str) -> None:
        what = f"set desired {self.scalables[target.dimension].noun} to {move.after}."
        done = f"Successfully {what} Change successfully fulfilled by {target.namespace}."
        status = "Failed" if failure else "Successful"
        self.records.end(move.activity, status, f"Failed to {what} {failure}" if failure else done)
        move.ended = now
        move.after = move.before if failure else move.after
        target.moving, target.moved = None, move


def _of(policy: Policy, ringing: Iterable[Alarm]) -> list[Alarm]:
    """The ringing alarms of a policy: its own, or those of the user whose action it is."""
    own = {name for name, _ in policy.alarms}
    return [
        alarm
        for alarm in ringing
        if alarm.name in own or (policy.kind == "StepScaling" and policy.arn in alarm.actions)
    ]
