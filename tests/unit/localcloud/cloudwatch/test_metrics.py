"""Metrics over periods, and when the monitor changes an alarm."""

import pytest

from localcloud.cloudwatch.alarms import Alarm
from localcloud.cloudwatch.metrics import Datum, Store, metric, statistic_of, summary
from localcloud.cloudwatch.monitor import Monitor
from tests.unit.localcloud.fakes import FakeAlarms

M = metric("AWS/SageMaker", "Invocations", VariantName="v", EndpointName="e")


def test_dimensions_are_the_same_metric_in_any_order() -> None:
    assert metric("AWS/SageMaker", "Invocations", EndpointName="e", VariantName="v") == M


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("Sum", 21.0), ("Average", 4.2), ("Minimum", 1.0), ("Maximum", 9.0), ("SampleCount", 5.0), ("p50", 3.0)],
)
def test_statistics_are_over_all_values_of_all_summaries(statistic: str, value: float) -> None:
    data = [summary(M, [1, 2, 6]), summary(M, [9, 3])]
    assert statistic_of(data, statistic) == pytest.approx(value)


def test_an_unknown_statistic_is_an_error_and_no_data_gives_none() -> None:
    assert statistic_of([], "Sum") is None
    with pytest.raises(ValueError, match="tm99"):
        statistic_of([summary(M, [1])], "tm99")


def test_a_series_has_whole_periods_only_and_none_for_a_period_without_data() -> None:
    store = Store(now=lambda: 0.0)
    for at, value in ((59.0, 1.0), (60.0, 2.0), (119.9, 3.0), (185.0, 4.0)):
        store.add(summary(M, [value]), at)
    assert store.series(M, "Sum", 60, 3, end=183.0) == [1.0, 5.0, None]
    assert store.series(M, "Sum", 60, 2, end=240.0) == [None, 4.0]
    assert store.series(metric("Other", "Invocations"), "Sum", 60, 2, end=240.0) == [None, None]


def test_data_older_than_a_day_is_dropped() -> None:
    store = Store(now=lambda: 0.0)
    store.add(summary(M, [1]), 0.0)
    store.add(summary(M, [2]), 90000.0)
    assert store.series(M, "Sum", 60, 1, end=60.0) == [None]


class Fakes:
    """A monitor with one alarm: Invocations above 5 in one period of 60 s, which lasts 6 s here."""

    def __init__(self) -> None:
        self.time = 600.0
        self.store, self.alarms = Store(now=lambda: self.time), FakeAlarms()
        self.ticks: list[float] = []
        self.monitor = Monitor(metrics=self.store, alarms=self.alarms, scale=0.1, on_tick=(self.ticks.append,))
        self.alarms.put_alarm(
            Alarm(
                name="a", metric=M, statistic="Sum", period=60, comparison="GreaterThanThreshold", threshold=5,
                evaluation_periods=1, datapoints_to_alarm=1, missing="notBreaching", changed=600.0,
            ),
            description="",
        )  # fmt: skip

    @property
    def state(self) -> str:
        return self.alarms.kept["a"].state

    def at(self, time: float, *values: float) -> str:
        self.time = time
        if values:
            self.store.put([summary(M, values)])
        self.monitor.tick(time)
        return self.state


def test_an_alarm_follows_its_metric_period_by_period() -> None:
    fakes = Fakes()
    assert fakes.at(606.0, 9.0) == "OK"  # the period with the 9 is not over yet
    assert fakes.at(612.0) == "ALARM"
    assert "a: Threshold Crossed" in fakes.alarms.reasons[-1]
    assert "1 datapoint [9.0 (01/01/70 00:10:06)] was " in fakes.alarms.reasons[-1]
    assert fakes.at(618.0) == "OK"
    assert fakes.ticks == [606.0, 612.0, 618.0]


def test_a_state_set_by_hand_holds_until_the_next_period() -> None:
    fakes = Fakes()
    fakes.at(606.0)
    fakes.alarms.kept["a"] = Alarm(**(vars(fakes.alarms.kept["a"]) | {"state": "ALARM", "changed": 607.0}))
    assert fakes.at(608.0) == "ALARM"
    assert fakes.at(613.5) == "OK"


def test_a_source_that_fails_does_not_stop_the_alarms() -> None:
    fakes = Fakes()

    def broken() -> list[Datum]:
        raise RuntimeError("no numbers")

    fakes.store.add_source(broken)
    fakes.store.put([summary(M, [9.0])])
    assert fakes.at(606.0) == "ALARM"
