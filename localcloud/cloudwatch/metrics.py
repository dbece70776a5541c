"""Metrics as CloudWatch keeps them: names with dimensions, summaries of values, statistics over periods. No I/O."""

import bisect
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

KEPT_SECONDS = 24 * 3600.0  # an alarm looks back a day at most


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric by its full name; `dimensions` are (name, value) pairs, sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Datum:
    """A summary of some values of one metric: their count, sum, minimum and maximum."""

    metric: Metric
    count: float
    total: float
    minimum: float
    maximum: float
    unit: str = "None"


Source = Callable[[], Iterable[Datum]]


class Metrics(Protocol):
    """Stores and reads measurements. CloudWatch does; tests use a Store."""

    def put(self, data: Iterable[Datum]) -> None:
        """Store values as measured now."""
        ...

    def add_source(self, source: Source) -> None:
        """Call `source` at every tick of the monitor from now on, and put what it returns."""
        ...

    def collect(self) -> None:
        """Call every source once and put what it returns."""
        ...

    def series(self, metric: Metric, statistic: str, period: float, count: int, end: float) -> list[float | None]:
        """The statistic over each of the `count` whole periods (seconds) before `end` (Unix time), oldest first."""
        ...


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    """A metric with dimensions as CloudWatch spells them: metric("AWS/SageMaker", "Invocations", EndpointName="e")."""
    return Metric(namespace=namespace, name=name, dimensions=tuple(sorted(dimensions.items())))


def dimensions_of(entries: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """An API's list of dimensions in the form of `Metric.dimensions`."""
    return tuple(sorted((entry["Name"], entry["Value"]) for entry in entries))


def summary(of: Metric, values: Sequence[float], *, unit: str = "None") -> Datum:
    """Values of one metric, at least one, as one Datum."""
    return Datum(metric=of, count=len(values), total=sum(values), minimum=min(values), maximum=max(values), unit=unit)


def statistic_of(data: Sequence[Datum], statistic: str) -> float | None:
    """Sum, Average, Minimum, Maximum, SampleCount or a percentile (p90) of all values; None when there are none.

    A percentile counts each summary as that many values at its average. Raises ValueError for any other statistic.
    """
    if not data:
        return None
    count, total = sum(each.count for each in data), sum(each.total for each in data)
    known: dict[str, Callable[[], float]] = {
        "Sum": lambda: total,
        "Average": lambda: total / count if count else 0.0,
        "Minimum": lambda: min(each.minimum for each in data),
        "Maximum": lambda: max(each.maximum for each in data),
        "SampleCount": lambda: count,
    }
    if statistic in known:
        return known[statistic]()
    if statistic.startswith("p"):
        return _percentile(data, float(statistic[1:]), count)
    raise ValueError(f"unknown statistic {statistic}")


def _percentile(data: Sequence[Datum], percent: float, count: float) -> float:
    reached = 0.0
    averages = sorted((each.total / each.count, each.count) for each in data if each.count)
    for value, weight in averages:
        reached += weight
        if reached >= count * percent / 100:
            return value
    return averages[-1][0] if averages else 0.0


@dataclass(kw_only=True)
class Store:
    """Metrics in memory, by time. Thread-safe. `now` gives Unix time."""

    now: Callable[[], float]
    sources: list[Source] = field(default_factory=list)
    _data: dict[Metric, list[tuple[float, Datum]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_source(self, source: Source) -> None:
        self.sources.append(source)

    def collect(self) -> None:
        self.put(self.read_sources())

    def read_sources(self) -> list[Datum]:
        return [datum for source in self.sources for datum in source()]

    def put(self, data: Iterable[Datum]) -> None:
        now = self.now()
        for datum in data:
            self.add(datum, now)

    def add(self, datum: Datum, at: float) -> None:
        """Store a datum as measured at `at` (Unix time), and drop data that is too old."""
        with self._lock:
            kept = self._data.setdefault(datum.metric, [])
            bisect.insort(kept, (at, datum), key=lambda entry: entry[0])
            while kept and kept[0][0] < at - KEPT_SECONDS:
                kept.pop(0)

    def series(self, metric: Metric, statistic: str, period: float, count: int, end: float) -> list[float | None]:
        last = end // period
        with self._lock:
            kept = self._data.get(metric, [])
            begin = bisect.bisect_left(kept, (last - count) * period, key=lambda entry: entry[0])
            recent = kept[begin:]
        buckets: list[list[Datum]] = [[] for _ in range(count)]
        for at, datum in recent:
            index = int(at // period - (last - count))
            if 0 <= index < count:
                buckets[index].append(datum)
        return [statistic_of(bucket, statistic) for bucket in buckets]
