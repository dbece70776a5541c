"""The metrics of an asynchronous endpoint's queue, as SageMaker publishes them in AWS/SageMaker. Pure.

After "Monitor asynchronous endpoint" of the developer guide: the only dimension is the endpoint.
"""

from dataclasses import dataclass

from localcloud.cloudwatch.metrics import Datum, metric, summary
from localcloud.sagemaker.hosting.metrics import NAMESPACE


@dataclass(frozen=True, kw_only=True)
class Queued:
    """An endpoint's queue at one moment: `size` requests without an answer, `waiting` of them not sent yet.

    `processed`, `failed` and `expired` count since the last collection.
    """

    endpoint: str
    instances: int
    size: int
    waiting: int
    oldest_s: float
    processed: int = 0
    failed: int = 0
    expired: int = 0


def measured(queued: Queued) -> list[Datum]:
    """The queue's gauges, which are published for an empty queue too, and its counts above 0."""
    gauges = {
        "ApproximateBacklogSize": float(queued.size),
        "ApproximateBacklogSizePerInstance": queued.size / max(1, queued.instances),
        "ApproximateAgeOfOldestRequest": queued.oldest_s,
        "HasBacklogWithoutCapacity": float(queued.waiting > 0 and queued.instances == 0),
    }
    counts = {
        "InvocationsProcessed": queued.processed,
        "InvocationFailures": queued.failed,
        "ExpiredRequests": queued.expired,
    }
    values = gauges | {name: float(count) for name, count in counts.items() if count}
    return [summary(metric(NAMESPACE, name, EndpointName=queued.endpoint), [value]) for name, value in values.items()]
