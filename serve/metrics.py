"""The Prometheus metrics of GET /metrics (rule 39). One process serves, so one registry holds them all."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from serve.batcher import BatchRecord

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PATHS = ("/", "/execution-parameters", "/invocations", "/metrics", "/model", "/ping")


class Metrics:
    """The counters, histograms and gauges. A test with two servers gives each its own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        options = {"registry": self.registry}
        self._requests = Counter(
            "kennel_requests", "Requests answered, by path and status code", ["path", "code"], **options
        )
        self._latency = Histogram(
            "kennel_request_seconds", "Seconds from request to answer, by path", ["path"], buckets=SECONDS, **options
        )
        self._refused = Counter("kennel_refused", "Requests answered with an error, by error code", ["kind"], **options)
        self._pictures = Counter("kennel_pictures", "Pictures classified", **options)
        self._decode = Histogram("kennel_decode_seconds", "Seconds to decode a picture", buckets=SECONDS, **options)
        self._inference = Histogram(
            "kennel_inference_seconds",
            "Seconds of a batch in the engine, its queue included",
            buckets=SECONDS,
            **options,
        )
        self._waited = Histogram(
            "kennel_queue_seconds", "Seconds that a batch's oldest picture waited", buckets=SECONDS, **options
        )
        sizes = (1, 2, 4, 8, 16, 32, 64)
        self._batch = Histogram("kennel_batch_pictures", "Pictures in a batch", buckets=sizes, **options)
        self._waiting = Gauge("kennel_queue_pictures", "Pictures that wait for the network", **options)
        self._ready = Gauge("kennel_ready", "1 if the model is loaded and warm, else 0", **options)
        ProcessCollector(registry=self.registry)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Counts one request. Unknown paths share one label, so that a scanner cannot create a thousand series."""
        label = path if path in PATHS else "other"
        self._requests.labels(label, str(code)).inc()
        self._latency.labels(label).observe(seconds)

    def refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def decoded(self, seconds: float) -> None:
        self._decode.observe(seconds)

    def batch(self, record: BatchRecord) -> None:
        self._pictures.inc(record.pictures)
        self._inference.observe(record.seconds)
        self._waited.observe(record.waited)
        self._batch.observe(record.pictures)

    def watch(self, *, waiting: Callable[[], int], ready: Callable[[], bool]) -> None:
        """Takes the functions that compute the gauges whenever /metrics is read."""
        self._waiting.set_function(waiting)
        self._ready.set_function(ready)

    def text(self) -> bytes:
        return bytes(generate_latest(self.registry))
