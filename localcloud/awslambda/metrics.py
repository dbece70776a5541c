"""Functions' metrics in CloudWatch's namespace AWS/Lambda, with the utilization of provisioned concurrency.

After "Types of metrics for Lambda functions" of its developer guide (rule 68).
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from localcloud.awslambda.records import Function
from localcloud.cloudwatch.meter import Meter
from localcloud.cloudwatch.metrics import Datum, metric, summary

NAMESPACE = "AWS/Lambda"


@dataclass(kw_only=True)
class Counts:
    """A function's events since the last collection: durations, errors (0.0 or 1.0 each), throttles."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    throttles: int = 0


@dataclass(kw_only=True)
class FunctionMetrics:
    """Counts events of all functions. Thread-safe.

    `meters` are by function and version, because only events of its own version use provisioned concurrency.
    """

    clock: Callable[[], float] = time.monotonic
    meters: dict[tuple[str, str], Meter] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, function: str, version: str) -> Iterator[None]:
        """Count an event as running until the block ends."""
        with self._lock:
            meter = self.meters.setdefault((function, version), Meter(clock=self.clock))
        meter.begin()
        try:
            yield
        finally:
            meter.end()

    def ended(self, function: str, seconds: float, *, is_error: bool) -> None:
        with self._lock:
            counts = self.counts.setdefault(function, Counts())
            counts.milliseconds.append(seconds * 1000)
            counts.errors.append(float(is_error))

    def throttled(self, function: str) -> None:
        with self._lock:
            self.counts.setdefault(function, Counts()).throttles += 1

    def collect(self, functions: list[Function]) -> list[Datum]:
        """The data since the last collection."""
        known = {(each.name, str(release.config["Version"])) for each in functions for release in each.releases()}
        with self._lock:
            counts, self.counts = self.counts, {}
            meters = dict(self.meters)
            self.meters = {key: meter for key, meter in meters.items() if key in known or meter.active}
        busy = {key: meter.drain() for key, meter in meters.items()}
        data = [datum for name, events in counts.items() for datum in _invocations(name, events)]
        return data + [datum for function in functions for datum in _provisioned(function, busy)]


def _invocations(function: str, counts: Counts) -> Iterator[Datum]:
    if counts.milliseconds:
        yield _datum("Invocations", function, [1.0] * len(counts.milliseconds), "Count")
        yield _datum("Errors", function, counts.errors, "Count")
        yield _datum("Duration", function, counts.milliseconds, "Milliseconds")
    if counts.throttles:
        yield _datum("Throttles", function, [1.0] * counts.throttles, "Count")


def _datum(name: str, function: str, values: list[float], unit: str) -> Datum:
    return summary(metric(NAMESPACE, name, FunctionName=function), values, unit=unit)


def _provisioned(function: Function, busy: Mapping[tuple[str, str], tuple[object, float, int]]) -> Iterator[Datum]:
    """The share of each version's or alias's allocated concurrency that was in use."""
    with function.lock:
        rows = [
            (
                qualifier,
                entry["AllocatedProvisionedConcurrentExecutions"],
                str(function.at(qualifier).config["Version"]),
            )
            for qualifier, entry in function.provisioned.items()
        ]
    for qualifier, allocated, version in rows:
        _, average, _ = busy.get((function.name, version), ((), 0.0, 0))
        if allocated:
            at = {"FunctionName": function.name, "Resource": f"{function.name}:{qualifier}"}
            share = min(1.0, average / allocated)
            yield summary(metric(NAMESPACE, "ProvisionedConcurrencyUtilization", **at), [share])
