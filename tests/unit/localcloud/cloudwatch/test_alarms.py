"""The state that a series of datapoints gives an alarm: tables after CloudWatch's user guide."""

import pytest

from localcloud.cloudwatch.alarms import Alarm, State, verdict
from localcloud.cloudwatch.metrics import metric

X, G, N = 9.0, 1.0, None  # breaching, not breaching, missing (the threshold is 5)


def alarm(missing: str = "missing", *, datapoints: int = 3, state: State = "OK", comparison: str = "") -> Alarm:
    return Alarm(
        name="a", metric=metric("N", "M"), statistic="Sum", period=60,
        comparison=comparison or "GreaterThanThreshold", threshold=5, evaluation_periods=3,
        datapoints_to_alarm=datapoints, missing=missing, state=state,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "datapoints", "state"),
    [
        ([X, X, X], 3, "ALARM"),
        ([X, G, X], 3, "OK"),
        ([X, G, X], 2, "ALARM"),
        ([G, G, X], 2, "OK"),
        ([G, G, X], 1, "ALARM"),
    ],
)
def test_an_alarm_needs_datapoints_to_alarm_breaches(values: list[float | None], datapoints: int, state: State) -> None:
    assert verdict(alarm(datapoints=datapoints), values) == state


@pytest.mark.parametrize(
    ("values", "missing", "ignore", "breaching", "not_breaching"),
    [
        ([N, N, N], "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
        ([N, N, G], "OK", "OK", "OK", "OK"),
        ([X, N, N], "ALARM", "kept", "ALARM", "OK"),
        ([N, N, X], "OK", "OK", "ALARM", "OK"),
        ([X, G, N], "OK", "OK", "OK", "OK"),
    ],
)
def test_missing_datapoints_count_as_treat_missing_data_says(
    values: list[float | None], missing: State, ignore: str, breaching: State, not_breaching: State
) -> None:
    kept: State
    assert verdict(alarm("missing"), values) == missing
    assert verdict(alarm("breaching"), values) == breaching
    assert verdict(alarm("notBreaching"), values) == not_breaching
    for kept in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        assert verdict(alarm("ignore", state=kept), values) == (kept if ignore == "kept" else ignore)


@pytest.mark.parametrize(
    ("comparison", "at_threshold"),
    [
        ("GreaterThanThreshold", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
        ("GreaterThanUpperThreshold", "INSUFFICIENT_DATA"),
    ],
)
def test_a_value_at_the_threshold_breaches_only_with_an_or_equal_comparison_and_bands_keep_their_state(
    comparison: str, at_threshold: State
) -> None:
    made = alarm(comparison=comparison, state="INSUFFICIENT_DATA")
    assert verdict(made, [5.0, 5.0, 5.0]) == at_threshold
