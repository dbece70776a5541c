"""An alarm's StateReason is CloudWatch's own sentence (rule 107)."""

from typing import Any

import pytest

from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.metrics import metric
from localcloud.cloudwatch.reasons import reason

NOON = 1_600_171_200.0  # 15 September 2020, 12:00 UTC


@pytest.mark.parametrize(
    ("changes", "values", "told"),
    [
        ({}, [21.5], "1 datapoint [21.5 (15/09/20 12:00:00)] was greater than the threshold (21.0)."),
        (
            {"missing": "breaching"},
            [None, None],
            "no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].",
        ),
        (
            {"state": "OK", "missing": "notBreaching"},
            [None],
            "no datapoints were received for 1 period and 1 missing datapoint was treated as [NonBreaching].",
        ),
        (
            {"state": "OK", "comparison": "LessThanOrEqualToThreshold"},
            [30, 40],
            "2 datapoints [40.0 (15/09/20 12:01:00), 30.0 (15/09/20 12:00:00)] were not less than or equal to the "
            "threshold (21.0).",
        ),
        (
            {"datapoints_to_alarm": 2},
            [22, 1, 23],
            "2 out of the last 3 datapoints [23.0 (15/09/20 12:02:00), 1.0 (15/09/20 12:01:00), 22.0 (15/09/20 "
            "12:00:00)] were greater than the threshold (21.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
    ],
)
def test_a_crossed_threshold(changes: dict[str, Any], values: list[float | None], told: str) -> None:
    assert reason(alarm(len(values), **changes), values, times(values)) == f"Threshold Crossed: {told}"


@pytest.mark.parametrize(("count", "told"), [(1, "1 datapoint was unknown."), (3, "3 datapoints were unknown.")])
def test_missing_data(count: int, told: str) -> None:
    values = [None] * count
    assert reason(alarm(count, state="INSUFFICIENT_DATA"), values, times(values)) == f"Insufficient Data: {told}"


def alarm(periods: int, **changes: Any) -> Alarm:
    fields: dict[str, Any] = {
        "name": "a", "metric": metric("N", "m"), "statistic": "Average", "period": 60.0, "threshold": 21.0,
        "comparison": "GreaterThanThreshold", "evaluation_periods": periods, "datapoints_to_alarm": periods,
        "state": "ALARM",
    }  # fmt: skip
    return Alarm(**fields | changes)


def times(values: list[Any]) -> list[float]:
    return [NOON + 60 * place for place in range(len(values))]
