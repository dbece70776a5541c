"""CloudWatch's metric alarms: the state that a series of datapoints gives an alarm. Pure.

After "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data" of the CloudWatch user guide.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from localcloud.cloudwatch.metrics import Metric

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A metric alarm. `period` is seconds, `missing` TreatMissingData, `changed` the Unix time of its last state."""

    name: str
    metric: Metric
    statistic: str
    period: float
    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"
    actions: tuple[str, ...] = ()
    state: State = "INSUFFICIENT_DATA"
    changed: float = 0.0


class Alarms(Protocol):
    """The account's alarms. Tests use an in-memory one."""

    def alarms(self) -> list[Alarm]:
        """Every alarm on a single metric; composite alarms and metric maths are left out."""
        ...

    def set_state(self, name: str, state: State, reason: str) -> None:
        """Change an alarm's state. Does nothing when the alarm no longer exists."""
        ...

    def put_alarm(self, alarm: Alarm, *, description: str) -> str:
        """Create or replace an alarm; return its ARN."""
        ...

    def delete_alarms(self, names: Iterable[str]) -> None:
        """Delete these alarms. Ignores names that do not exist."""
        ...


def verdict(alarm: Alarm, values: Sequence[float | None]) -> State:
    """The alarm's state after the last `evaluation_periods` periods. `values`: oldest first, None for a missing one."""
    if alarm.comparison not in _COMPARE:
        return alarm.state  # anomaly detection bands: localcloud has no model for them
    breaching = [None if value is None else _COMPARE[alarm.comparison](value, alarm.threshold) for value in values]
    if alarm.missing in ("breaching", "notBreaching"):
        breaching = [alarm.missing == "breaching" if each is None else each for each in breaching]
    if sum(each is True for each in breaching) >= alarm.datapoints_to_alarm:
        return "ALARM"
    if all(each is None for each in breaching):
        return alarm.state if alarm.missing == "ignore" else "INSUFFICIENT_DATA"
    if None not in breaching:
        return "OK"
    if _breach_is_old_enough(breaching, alarm.datapoints_to_alarm):
        return alarm.state if alarm.missing == "ignore" else "ALARM"
    return "OK"


def _breach_is_old_enough(breaching: Sequence[bool | None], datapoints: int) -> bool:
    """Whether the first breach is at least `datapoints` old and no datapoint since then was within the threshold."""
    if True not in breaching:
        return False
    first = breaching.index(True)
    return len(breaching) - first >= datapoints and False not in breaching[first:]
