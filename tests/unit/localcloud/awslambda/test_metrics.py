"""Functions' metrics: invocations, errors, durations, throttles, utilization of provisioned concurrency."""

from typing import Any, cast

from localcloud.awslambda.metrics import FunctionMetrics
from localcloud.awslambda.records import Function
from localcloud.cloudwatch.metrics import Datum


class Version:
    """A release with the only setting that metrics read."""

    def __init__(self, number: str) -> None:
        self.config = {"Version": number}


def function(allocated: int = 2) -> Function:
    made: Any = Function(name="f", arn="arn:f", latest=cast("Any", Version("$LATEST")))
    made.versions["1"] = Version("1")
    made.aliases["live"] = {"FunctionVersion": "1"}
    made.provisioned["live"] = {"AllocatedProvisionedConcurrentExecutions": allocated}
    return cast("Function", made)


def published(data: list[Datum]) -> dict[str, float]:
    return {datum.metric.name: datum.total for datum in data}


def test_events_are_counted_with_their_failures_times_and_throttles() -> None:
    metrics = FunctionMetrics()
    metrics.ended("f", 0.5, is_error=False)
    metrics.ended("f", 1.5, is_error=True)
    metrics.throttled("f")
    assert published(metrics.collect([])) == {"Invocations": 2.0, "Errors": 1.0, "Duration": 2000.0, "Throttles": 1.0}
    assert metrics.collect([]) == []


def test_utilization_is_the_busy_share_of_allocated_concurrency() -> None:
    now = [0.0]
    metrics = FunctionMetrics(clock=lambda: now[0])
    with metrics.running("f", "1"), metrics.running("f", "$LATEST"):
        now[0] = 10.0
    (datum,) = metrics.collect([function()])
    assert datum.total == 0.5
    assert dict(datum.metric.dimensions) == {"FunctionName": "f", "Resource": "f:live"}


def test_an_idle_alias_publishes_zero_and_one_without_environments_publishes_nothing() -> None:
    assert published(FunctionMetrics().collect([function()])) == {"ProvisionedConcurrencyUtilization": 0.0}
    assert FunctionMetrics().collect([function(allocated=0)]) == []
