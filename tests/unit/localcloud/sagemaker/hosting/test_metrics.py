"""What is published of a variant: by request, by failure, and when nobody asks."""

import pytest

from localcloud.cloudwatch.meter import ServedRequest
from localcloud.cloudwatch.metrics import Datum
from localcloud.containers.http import Response, UnreachableError
from localcloud.sagemaker.hosting.metrics import EndpointMetrics
from tests.unit.localcloud.sagemaker.hosting.fixtures import Fakes, one


def published(data: list[Datum]) -> dict[str, Datum]:
    return {datum.metric.name: datum for datum in data}


def answering(status: int) -> Fakes:
    fakes = Fakes()
    fakes.endpoint(one("A", count=2))
    fakes.engine.serve = lambda *_: Response(status=status, headers={}, body=b"")
    return fakes


def test_each_request_counts_once_and_its_share_of_the_instances() -> None:
    fakes = answering(200)
    for _ in range(4):
        fakes.ask()
    found = published(fakes.metrics.collect())
    assert found["Invocations"].total == 4
    assert found["InvocationsPerInstance"].total == 2.0
    assert found["Invocation5XXErrors"].count == 4
    assert found["Invocation5XXErrors"].total == 0
    assert found["ModelLatency"].unit == "Microseconds"
    assert dict(found["Invocations"].metric.dimensions) == {"EndpointName": "E", "VariantName": "A"}
    assert found["Invocations"].metric.namespace == "AWS/SageMaker"


@pytest.mark.parametrize(
    ("status", "name", "other"),
    [(500, "Invocation5XXErrors", "Invocation4XXErrors"), (422, "Invocation4XXErrors", "Invocation5XXErrors")],
)
def test_a_models_error_is_published_by_its_class(status: int, name: str, other: str) -> None:
    fakes = answering(status)
    fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x")
    found = published(fakes.metrics.collect())
    assert (found[name].total, found[other].total, found["InvocationModelErrors"].total) == (1, 0, 1)


def test_an_idle_variant_says_zero_for_what_it_is_scaled_by_and_nothing_else() -> None:
    found = published(answering(200).metrics.collect())
    assert {name: datum.total for name, datum in found.items()} == {
        "InvocationsPerInstance": 0.0, "ConcurrentRequestsPerModel": 0.0,
    }  # fmt: skip


def test_a_request_that_reached_no_model_is_no_invocation() -> None:
    fakes = answering(200)

    def gone(*_: object) -> Response:
        raise UnreachableError("10.0.0.1")

    fakes.engine.serve = gone
    fakes.refused("InvokeEndpoint", EndpointName="E", Body=b"x")
    assert "Invocations" not in published(fakes.metrics.collect())


def test_what_was_published_is_not_published_again() -> None:
    fakes = answering(200)
    fakes.ask()
    fakes.metrics.collect()
    assert "Invocations" not in published(fakes.metrics.collect())


def test_concurrency_is_the_average_over_the_time_and_for_each_instance() -> None:
    now = [0.0]
    metrics = EndpointMetrics(running=lambda: [("E", "A", 2)], clock=lambda: now[0])
    metrics.collect()
    with metrics.serving("E", "A"), metrics.serving("E", "A"):
        now[0] = 5.0
    now[0] = 10.0
    found = published(metrics.collect())["ConcurrentRequestsPerModel"]
    assert (found.total, found.maximum) == (0.5, 1.0)


def test_a_variant_that_is_gone_tells_its_last_and_is_forgotten() -> None:
    metrics = EndpointMetrics(running=list, clock=lambda: 0.0)
    metrics.meter("E", "A").record(ServedRequest(instances=1, status=200, model_s=0.1, overhead_s=0.01))
    assert published(metrics.collect())["Invocations"].total == 1
    assert metrics.meters == {}
