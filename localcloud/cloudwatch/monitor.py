"""CloudWatch's loop. Every tick collects metrics, evaluates the alarms, then calls those who act on alarms."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from localcloud.cloudwatch.alarms import Alarm, Alarms, State, verdict
from localcloud.cloudwatch.metrics import Metrics
from localcloud.cloudwatch.reasons import reason
from localcloud.gateway.service import Service
from localcloud.threads import Threads

TICKS = 12  # in a minute


@dataclass(kw_only=True)
class Monitor:
    """`scale`: how many real seconds a second of an alarm's period lasts.

    `on_tick`: functions to call with the Unix time at every tick, after the alarms were evaluated.
    """

    metrics: Metrics
    alarms: Alarms
    scale: float = 1.0
    on_tick: tuple[Callable[[float], None], ...] = ()
    _assigned: dict[str, State] = field(default_factory=dict)  # the state that the monitor last gave each alarm

    def tick(self, now: float) -> None:
        """One round at a Unix time. A part that fails is logged and does not stop the others."""
        self._guarded(self.metrics.collect)
        for alarm in self.alarms.alarms():
            self._guarded(self._evaluate, alarm, now)
        for function in self.on_tick:
            self._guarded(function, now)

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception:
            logging.getLogger(__name__).exception("part of a CloudWatch round failed")

    def _evaluate(self, alarm: Alarm, now: float) -> None:
        period = alarm.period * self.scale
        set_by_client = self._assigned.get(alarm.name) != alarm.state
        if set_by_client and now - alarm.changed < period:
            return  # a state from SetAlarmState, and a new alarm's first state, last until the next period
        values = self.metrics.series(alarm.metric, alarm.statistic, period, alarm.evaluation_periods, now)
        state = verdict(alarm, values)
        if state != alarm.state:
            last, count = now // period, len(values)
            starts = [(last - count + place) * period for place in range(count)]
            self.alarms.set_state(alarm.name, state, reason(replace(alarm, state=state), values, starts))
        self._assigned[alarm.name] = state


def service(monitor: Monitor, now: Callable[[], datetime]) -> Service:
    """Starts the monitor's loop; the Service has no operations and stops the loop when localcloud closes."""
    threads = Threads()

    def run() -> None:
        while not threads.closing.wait(60 * monitor.scale / TICKS):
            monitor.tick(now().timestamp())

    threads.spawn(run)
    return Service(name="cloudwatch", handlers={}, close=threads.close)
