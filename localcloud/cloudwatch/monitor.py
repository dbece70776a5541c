"""The pulse of CloudWatch: measure, evaluate the alarms, then let who acts on them act."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from localcloud.cloudwatch.alarms import Alarm, Alarms, State, verdict
from localcloud.cloudwatch.metrics import Metrics
from localcloud.gateway.service import Service
from localcloud.threads import Threads

TICKS = 12  # a minute


@dataclass(kw_only=True)
class Monitor:
    """Every tick: asks the sources, evaluates every alarm, then calls `acts` with the Unix time. Pure but for those.

    `scale` is how many real seconds an alarm's second lasts.
    """

    metrics: Metrics
    alarms: Alarms
    scale: float = 1.0
    acts: tuple[Callable[[float], None], ...] = ()
    _given: dict[str, State] = field(default_factory=dict)  # the state that we last gave each alarm

    def tick(self, now: float) -> None:
        """One round at a Unix time. Whatever one part of it meets, the others go on."""
        self._guarded(self.metrics.collect)
        for alarm in self.alarms.alarms():
            self._guarded(self._evaluate, alarm, now)
        for act in self.acts:
            self._guarded(act, now)

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception:
            logging.getLogger(__name__).exception("a round of CloudWatch was not whole")

    def _evaluate(self, alarm: Alarm, now: float) -> None:
        period = alarm.period * self.scale
        by_hand = self._given.get(alarm.name) != alarm.state
        if by_hand and now - alarm.changed < period:
            return  # what SetAlarmState said, and a new alarm's first state, hold until the next period
        values = self.metrics.series(alarm.metric, alarm.statistic, period, alarm.evaluation_periods, now)
        state = verdict(alarm, values)
        if state != alarm.state:
            self.alarms.set_state(alarm.name, state, reason(replace(alarm, state=state), values))
        self._given[alarm.name] = state


def reason(alarm: Alarm, values: list[float | None]) -> str:
    """Why an alarm is in its state, nearly as CloudWatch says it."""
    shown = ", ".join(f"{value:g}" for value in reversed(values) if value is not None)
    if alarm.state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {alarm.evaluation_periods} datapoints were unknown."
    return (
        f"Threshold Crossed: of the last {len(values)} datapoints [{shown}] {alarm.datapoints_to_alarm} had to be "
        f"{alarm.comparison} ({alarm.threshold:g}) for ALARM: {alarm.state}."
    )


def service(monitor: Monitor, now: Callable[[], datetime]) -> Service:
    """The monitor's loop, as a Service without operations that stops when localcloud closes."""
    threads = Threads()

    def run() -> None:
        while not threads.closing.wait(60 * monitor.scale / TICKS):
            monitor.tick(now().timestamp())

    threads.spawn(run)
    return Service(name="cloudwatch", handlers={}, close=threads.close)
