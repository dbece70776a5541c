"""What Lambda publishes of functions in CloudWatch's AWS/Lambda, and how much of provisioned concurrency is in use.

After "Types of metrics for Lambda functions" of its developer guide (rule 68).
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from localcloud.awslambda.functions import Function
from localcloud.cloudwatch.meter import Meter
from localcloud.cloudwatch.metrics import Datum, metric, summary

NAMESPACE = "AWS/Lambda"


@dataclass(kw_only=True)
class Counts:
    """What became of a function's events since the last look."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    throttles: int = 0


@dataclass(kw_only=True)
class FunctionMetrics:
    """Thread-safe. Meters are by function and version: of provisioned concurrency only its own version's use counts."""

    clock: Callable[[], float] = time.monotonic
    meters: dict[tuple[str, str], Meter] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, function: str, version: str) -> Iterator[None]:
        """Count an event as being worked on until the block ends."""
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
        """What to publish since the last time."""
        with self._lock:
            counts, self.counts = self.counts, {}
            meters, known = dict(self.meters), {(each.name, version) for each in functions for version in each.versions}
            self.meters = {key: meter for key, meter in meters.items() if key in known or meter.active}
        busy = {key: meter.drain() for key, meter in meters.items()}
        data = [datum for name, found in counts.items() for datum in _invocations(name, found)]
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
    """The share of what is allocated to a version or alias that was in use."""
    for qualifier, entry in list(function.provisioned.items()):
        allocated = entry["AllocatedProvisionedConcurrentExecutions"]
        version = str(function.at(qualifier).config["Version"])
        _, average, _ = busy.get((function.name, version), ((), 0.0, 0))
        if allocated:
            at = {"FunctionName": function.name, "Resource": f"{function.name}:{qualifier}"}
            share = min(1.0, average / allocated)
            yield summary(metric(NAMESPACE, "ProvisionedConcurrencyUtilization", **at), [share])
