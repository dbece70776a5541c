"""The autoscaler: at every tick, changes the capacity of targets whose alarms or scheduled actions require it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from localcloud.applicationautoscaling import step_scaling, target_tracking
from localcloud.applicationautoscaling.decision import Bounds, Decision, Proposal, decide
from localcloud.applicationautoscaling.records import Move, Policy, Records, ScheduledAction, Target
from localcloud.applicationautoscaling.scalable import Capacity, ChangeRefusedError, Scalable
from localcloud.cloudwatch.alarms import Alarm, Alarms
from localcloud.cloudwatch.metrics import Metrics


@dataclass(kw_only=True)
class Autoscaler:
    """`scale`: how many real seconds a second of periods and cooldowns lasts.

    `next_run`: a PutScheduledAction request → when it runs next.
    """

    records: Records
    alarms: Alarms
    metrics: Metrics
    scalables: Mapping[str, Scalable]
    next_run: Callable[[Mapping[str, Any]], datetime | None]
    scale: float = 1.0

    def tick(self, now: float) -> None:
        """One round over all targets, at a Unix time."""
        in_alarm = [alarm for alarm in self.alarms.alarms() if alarm.state == "ALARM"]
        with self.records.lock:
            targets = list(self.records.targets.values())
        for target in targets:
            if target.moving is not None:
                self._check_move(target, target.moving, now)
            if target.moving is None:
                self._run_due_actions(target)
                self._apply_bounds(target, now)
            if target.moving is None:
                self._apply_policies(target, in_alarm, now)

    # ------------------------------------------------------------------------------------------ scheduled actions

    def _run_due_actions(self, target: Target) -> None:
        with self.records.lock:
            for action in list(target.actions.values()):
                if action.next is None or action.next > self.records.now():
                    continue
                target.actions[action.name] = replace(action, next=self.next_run(action.request))
                if not target.suspended.get("ScheduledScalingSuspended"):
                    self._set_bounds(target, action)

    def _set_bounds(self, target: Target, action: ScheduledAction) -> None:
        """Set a target's bounds. `_apply_bounds` changes the capacity as soon as the resource is steady."""
        bounds = action.request["ScalableTargetAction"]
        minimum, maximum = bounds.get("MinCapacity", target.minimum), bounds.get("MaxCapacity", target.maximum)
        change = " and ".join(
            f"{name} capacity to {bounds[key]}"
            for name, key in (("min", "MinCapacity"), ("max", "MaxCapacity"))
            if key in bounds
        )
        cause = f"scheduled action name {action.name} was triggered"
        activity = self.records.begin(target, f"Setting {change}", cause)
        if minimum > maximum:
            self.records.end(activity, "Failed", f"Failed to set {change}: the minimum would exceed the maximum.")
            return
        target.minimum, target.maximum = minimum, maximum
        target.pending_causes = [
            f"{name} capacity was set to {bounds[key]}"
            for name, key in (("minimum", "MinCapacity"), ("maximum", "MaxCapacity"))
            if key in bounds
        ]
        self.records.end(activity, "Successful", f"Successfully set {change}")

    def _apply_bounds(self, target: Target, now: float) -> None:
        """Bring the capacity within bounds that a scheduled action has changed."""
        capacity = self._capacity(target) if target.pending_causes else None
        if capacity is None or not capacity.steady:
            return
        count = min(max(capacity.desired, target.minimum), target.maximum)
        causes, target.pending_causes = target.pending_causes, []
        if count != capacity.desired:
            grows = count > capacity.desired
            cause = next((each for each in causes if each.startswith("min") == grows), causes[0])
            self._move(target, capacity, count=count, cooldown=0, cause=cause, now=now)

    # ------------------------------------------------------------------------------------------ policies

    def _apply_policies(self, target: Target, in_alarm: Iterable[Alarm], now: float) -> None:
        """Change the capacity as the policies in alarm propose. Waits while anybody else changes the resource."""
        with self.records.lock:
            policies = list(target.policies.values())
            bounds = Bounds(minimum=target.minimum, maximum=target.maximum, suspended=target.suspended)
        triggered = [(policy, alarm) for policy in policies for alarm in _alarms_of(policy, in_alarm)]
        capacity = self._capacity(target) if triggered else None
        if capacity is None or not capacity.steady:
            return
        proposals = [self._proposal(policy, alarm, capacity, target.moved, now) for policy, alarm in triggered]
        decision = decide(
            [proposal for proposal in proposals if proposal is not None],
            current=capacity.desired,
            bounds=bounds,
            voters=sum(len(policy.alarms) > 1 for policy in policies),
            moved=target.moved,
            now=now,
        )
        if decision is not None and decision.not_scaled:
            self._record_not_scaled(target, decision)
        elif decision is not None:
            proposal = decision.proposal
            cooldown = proposal.cooldown_out if decision.count > capacity.desired else proposal.cooldown_in
            self._move(target, capacity, count=decision.count, cooldown=cooldown, cause=proposal.cause, now=now)

    def _proposal(
        self, policy: Policy, alarm: Alarm, capacity: Capacity, moved: Move | None, now: float
    ) -> Proposal | None:
        """The capacity that a policy proposes for its metric's last whole period.

        None without data, and when the period began before the last move ended: it measured another capacity.
        """
        period = alarm.period * self.scale
        if moved is not None and (now // period - 1) * period < moved.ended:
            return None
        value = self.metrics.series(alarm.metric, alarm.statistic, period, 1, now)[0]
        if value is None:
            return None
        if policy.policy_type == "StepScaling":
            count = step_scaling.desired(policy.config, current=capacity.desired, breach=value - alarm.threshold)
        else:
            count = target_tracking.desired(
                current=capacity.desired,
                value=value,
                target=float(policy.config["TargetValue"]),
                is_out="-AlarmHigh-" in alarm.name,
            )
        cooldown_out, cooldown_in = (seconds * self.scale for seconds in policy.cooldowns)
        return Proposal(
            policy=policy.name, alarm=alarm.name, count=count, cooldown_out=cooldown_out, cooldown_in=cooldown_in
        )

    def _record_not_scaled(self, target: Target, decision: Decision) -> None:
        """Record once why nothing moves, for DescribeScalingActivities with IncludeNotScaledActivities."""
        if target.not_scaled == decision.not_scaled:
            return
        target.not_scaled = decision.not_scaled
        reason: dict[str, Any] = {"Code": decision.not_scaled, "CurrentCapacity": decision.count}
        reason |= {"MaxCapacity": target.maximum} if decision.not_scaled.endswith("MaxCapacity") else {}
        reason |= {"MinCapacity": target.minimum} if decision.not_scaled.endswith("MinCapacity") else {}
        description = "Attempting to scale due to alarm triggered"
        activity = self.records.begin(target, description, decision.proposal.cause, NotScaledReasons=[reason])
        self.records.end(activity, "Failed", f"Not scaled: {decision.not_scaled}")

    # ------------------------------------------------------------------------------------------ moves

    def _capacity(self, target: Target) -> Capacity | None:
        return self.scalables[target.dimension].read(target.resource)

    def _move(self, target: Target, capacity: Capacity, *, count: int, cooldown: float, cause: str, now: float) -> None:
        """Begin a change of a target's capacity to `count`."""
        scalable = self.scalables[target.dimension]
        activity = self.records.begin(target, f"Setting desired {scalable.noun} to {count}.", cause)
        move = Move(before=capacity.desired, after=count, cooldown=cooldown, activity=activity)
        target.moving, target.not_scaled = move, ""
        try:
            scalable.put(target.resource, count)
        except ChangeRefusedError as error:
            self._end(target, move, now, f"Reason: {error}")

    def _check_move(self, target: Target, move: Move, now: float) -> None:
        """End a move whose resource is steady again or no longer exists."""
        capacity = self._capacity(target)
        if capacity is None:
            self._end(target, move, now, "Reason: it is no longer there.")
        elif capacity.steady:
            reached = capacity.current == move.after
            self._end(target, move, now, "" if reached else f"Reason: {capacity.current} are running.")

    def _end(self, target: Target, move: Move, now: float, failure: str) -> None:
        change = f"set desired {self.scalables[target.dimension].noun} to {move.after}."
        success = f"Successfully {change} Change successfully fulfilled by {target.namespace}."
        status = "Failed" if failure else "Successful"
        self.records.end(move.activity, status, f"Failed to {change} {failure}" if failure else success)
        target.moving, target.moved = None, replace(move, ended=now, after=move.before if failure else move.after)


def _alarms_of(policy: Policy, in_alarm: Iterable[Alarm]) -> list[Alarm]:
    """A policy's alarms that are in ALARM: those that the policy made, or a user's alarms with the policy as action."""
    own = {name for name, _ in policy.alarms}
    return [
        alarm
        for alarm in in_alarm
        if alarm.name in own or (policy.policy_type == "StepScaling" and policy.arn in alarm.actions)
    ]
