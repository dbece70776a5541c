"""The metrics of every variant, as SageMaker publishes them in CloudWatch's AWS/SageMaker (rule 48).

After "Amazon SageMaker metrics in Amazon CloudWatch" of the developer guide. Errors are published as 0 and 1, so that
their average is the share of requests that failed. InvocationsPerInstance and ConcurrentRequestsPerModel are 0 without
requests, which makes an idle variant scale in.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from localcloud.cloudwatch.meter import Meter, ServedRequest
from localcloud.cloudwatch.metrics import Datum, Metric, metric, summary

NAMESPACE = "AWS/SageMaker"
SUMMARIES = 20  # data points for the latencies of one tick


@dataclass(kw_only=True)
class EndpointMetrics:
    """The meters of all variants. `running` lists the variants in service: (endpoint, variant, instance count)."""

    running: Callable[[], Iterable[tuple[str, str, int]]]
    clock: Callable[[], float] = time.monotonic
    meters: dict[tuple[str, str], Meter] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meter(self, endpoint: str, variant: str) -> Meter:
        with self._lock:
            return self.meters.setdefault((endpoint, variant), Meter(clock=self.clock))

    @contextmanager
    def serving(self, endpoint: str, variant: str) -> Iterator[Meter]:
        """Count one more concurrent request until the block ends."""
        meter = self.meter(endpoint, variant)
        meter.begin()
        try:
            yield meter
        finally:
            meter.end()

    def collect(self) -> list[Datum]:
        """Return what to publish since the last time. A deleted variant is forgotten after its last data."""
        running = {(endpoint, variant): count for endpoint, variant, count in self.running()}
        data: list[Datum] = []
        with self._lock:
            known = {**running, **self.meters}
        for endpoint, variant in known:
            answered, average, peak = self.meter(endpoint, variant).drain()
            at = {"EndpointName": endpoint, "VariantName": variant}
            count = running.get((endpoint, variant))
            if count:
                data.append(concurrency(metric(NAMESPACE, "ConcurrentRequestsPerModel", **at), average, peak, count))
            if answered or count:
                data += invocations(answered, at)
            if count is None and not self.meter(endpoint, variant).active:
                with self._lock:
                    self.meters.pop((endpoint, variant), None)
        return data


def concurrency(of: Metric, average: float, peak: int, instances: int) -> Datum:
    """Concurrent requests per instance: the average over the tick, and its peak."""
    mean = average / instances
    return Datum(metric=of, count=1, total=mean, minimum=min(mean, peak / instances), maximum=peak / instances)


def invocations(answered: list[ServedRequest], at: dict[str, str]) -> list[Datum]:
    """The metrics of these requests to one variant; without requests, only the metric that SageMaker publishes as 0."""
    per_instance = metric(NAMESPACE, "InvocationsPerInstance", **at)
    if not answered:
        return [summary(per_instance, [0.0])]
    failed = [each.status == 0 or each.status >= 500 for each in answered]
    values: dict[str, list[float]] = {
        "Invocations": [1.0] * len(answered),
        "Invocation4XXErrors": [float(400 <= each.status < 500) for each in answered],
        "Invocation5XXErrors": [float(each) for each in failed],
        "InvocationModelErrors": [float(not 200 <= each.status < 300) for each in answered],
    }
    micro = {
        "ModelLatency": [each.model_s * 1e6 for each in answered],
        "OverheadLatency": [each.overhead_s * 1e6 for each in answered],
    }
    return [
        summary(per_instance, [1 / max(1, each.instances) for each in answered]),
        *(summary(metric(NAMESPACE, name, **at), samples) for name, samples in values.items()),
        *(each for name, samples in micro.items() for each in spread(metric(NAMESPACE, name, **at), samples)),
    ]


def spread(of: Metric, values: list[float]) -> list[Datum]:
    """Split times (µs) into a few summaries of similar size, so that percentiles can be computed."""
    ordered = sorted(values)
    size = -(-len(ordered) // SUMMARIES)
    parts = [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]
    return [summary(of, part, unit="Microseconds") for part in parts]
