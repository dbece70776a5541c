"""What GET /metrics tells, in Prometheus form (rule 39). One process serves, so one registry holds it all."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from serve.batcher import BatchRecord

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PATHS = ("/", "/execution-parameters", "/invocations", "/metrics", "/model", "/ping")


class Metrics:
    """The counters and histograms, each in a registry of its own so that two servers in one test do not meet."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        where = {"registry": self.registry}
        self._requests = Counter("kennel_requests", "Requests answered", ["path", "code"], **where)
        self._latency = Histogram("kennel_request_seconds", "Request to answer", ["path"], buckets=SECONDS, **where)
        self._refused = Counter("kennel_refused", "Requests refused, by kind of error", ["kind"], **where)
        self._pictures = Counter("kennel_pictures", "Pictures classified", **where)
        self._decode = Histogram("kennel_decode_seconds", "Bytes to input, a picture", buckets=SECONDS, **where)
        self._inference = Histogram(
            "kennel_inference_seconds", "A batch in the network or its queue", buckets=SECONDS, **where
        )
        self._waited = Histogram("kennel_queue_seconds", "Wait of a batch's oldest picture", buckets=SECONDS, **where)
        self._batch = Histogram("kennel_batch_pictures", "Pictures a batch", buckets=(1, 2, 4, 8, 16, 32, 64), **where)
        self._waiting = Gauge("kennel_queue_pictures", "Pictures that wait", **where)
        self._ready = Gauge("kennel_ready", "1 when the model is loaded and warm", **where)
        ProcessCollector(registry=self.registry)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """One request. Paths that are not ours count as one, so that a scanner cannot make a thousand series."""
        known = path if path in PATHS else "other"
        self._requests.labels(known, str(code)).inc()
        self._latency.labels(known).observe(seconds)

    def refused(self, kind: str) -> None:
        self._refused.labels(kind).inc()

    def decoded(self, seconds: float) -> None:
        self._decode.observe(seconds)

    def batch(self, record: BatchRecord) -> None:
        self._pictures.inc(record.pictures)
        self._inference.observe(record.seconds)
        self._waited.observe(record.waited)
        self._batch.observe(record.pictures)

    def watch(self, *, waiting: Callable[[], int], ready: Callable[[], bool]) -> None:
        """Gauges are asked for when they are read."""
        self._waiting.set_function(waiting)
        self._ready.set_function(ready)

    def text(self) -> bytes:
        return bytes(generate_latest(self.registry))
