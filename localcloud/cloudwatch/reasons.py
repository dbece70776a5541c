"""StateReason: why an alarm is in its state, in CloudWatch's words (rule 107). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from localcloud.cloudwatch.alarms import Alarm

_COMPARED = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


def reason(alarm: Alarm, values: Sequence[float | None], starts: Sequence[float]) -> str:
    """Why `alarm` is in its state. `values`: oldest first, None for a missing one; `starts`: their Unix times."""
    known = [(value, start) for value, start in zip(values, starts, strict=True) if value is not None]
    missing = len(values) - len(known)
    if alarm.state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_counted(missing, 'datapoint')} {_was(missing)} unknown."
    if not known:
        treated = _TREATED.get(alarm.missing, "Missing")
        return (
            f"Threshold Crossed: no datapoints were received for {_counted(len(values), 'period')} and "
            f"{_counted(missing, 'missing datapoint')} {_was(missing)} treated as [{treated}]."
        )
    shown = ", ".join(f"{float(value)} ({_time(start)})" for value, start in reversed(known))
    negation = "" if alarm.state == "ALARM" else "not "
    told = f"{_was(len(known))} {negation}{_COMPARED[alarm.comparison]} the threshold ({float(alarm.threshold)})"
    needed = alarm.datapoints_to_alarm
    if alarm.state == "ALARM" and needed < alarm.evaluation_periods:
        count = f"{needed} out of the last {_counted(len(values), 'datapoint')}"
        minimum = f"(minimum {_counted(needed, 'datapoint')} for OK -> ALARM transition)"
        return f"Threshold Crossed: {count} [{shown}] {told} {minimum}."
    return f"Threshold Crossed: {_counted(len(known), 'datapoint')} [{shown}] {told}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _time(start: float) -> str:
    return datetime.fromtimestamp(start, tz=UTC).strftime("%d/%m/%y %H:%M:%S")
