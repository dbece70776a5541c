"""Asynchronous endpoints: queued requests, answers and failures in S3, scaling to nothing, what is measured."""

from collections.abc import Mapping
from typing import Any

import pytest

from localcloud.containers.http import Response, TimedOutError
from localcloud.errors import ApiError
from localcloud.sagemaker.hosting.async_invoke import AsyncInvoker
from tests.unit.localcloud.sagemaker.hosting.fakes import Served, ServingEngine
from tests.unit.localcloud.sagemaker.hosting.fixtures import Fakes, one

CONFIG: dict[str, Any] = {
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
    "OutputConfig": {"S3OutputPath": "s3://models/out", "S3FailurePath": "s3://models/failed"},
}


def upper(_: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    if body == b"slow":
        raise TimedOutError("no answer")
    return Response(status=400 if body == b"bad" else 200, headers={}, body=body.upper())


class Bench:
    """An asynchronous endpoint E with `count` instances. Work waits for `world.later.run()`."""

    def __init__(self, *, count: int = 1, config: dict[str, Any] | None = None) -> None:
        self.fakes = Fakes(engine=ServingEngine(upper))
        self.fakes.model()
        self.fakes.config("c", one(count=count), AsyncInferenceConfig=config or CONFIG)
        self.fakes.do("CreateEndpoint", EndpointName="E", EndpointConfigName="c")
        self.fakes.later.run()
        self.invoker = AsyncInvoker(
            cloud=self.fakes.cloud, endpoints=self.fakes.endpoints, spawn=self.fakes.later.spawn, clock=self.fakes.clock
        )

    def ask(self, content: bytes = b"one", **params: Any) -> dict[str, Any]:
        self.fakes.objects.content["models", "in/x"] = content
        return self.invoker.invoke({"EndpointName": "E", "InputLocation": "s3://models/in/x"} | params)

    def read(self, uri: str) -> bytes | None:
        return self.fakes.objects.content.get(("models", uri.removeprefix("s3://models/")))

    def measured(self) -> dict[str, float]:
        return {datum.metric.name: datum.total for datum in self.invoker.collect()}

    def scale(self, count: int) -> None:
        desired = [{"VariantName": "A", "DesiredInstanceCount": count}]
        self.fakes.do("UpdateEndpointWeightsAndCapacities", EndpointName="E", DesiredWeightsAndCapacities=desired)
        self.fakes.later.run()


def test_an_answer_lies_where_it_was_promised() -> None:
    bench = Bench()
    answer = bench.ask(InferenceId="mine", ContentType="image/jpeg")
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith("s3://models/out/")
    assert bench.read(answer["OutputLocation"]) is None
    bench.fakes.later.run()
    assert bench.read(answer["OutputLocation"]) == b"ONE"
    assert bench.read(answer["FailureLocation"]) is None
    headers = next(iter(bench.fakes.engine.served.values())).requests[-1][3]
    assert headers == {"Content-Type": "image/jpeg", "X-Amzn-SageMaker-Inference-Id": "mine"}


def test_the_caller_may_name_the_answer_and_send_the_picture_along() -> None:
    bench = Bench()
    params = {"EndpointName": "E", "Body": b"two", "Filename": "two.json", "S3OutputPathExtension": "a/b"}
    assert bench.invoker.invoke(params)["OutputLocation"] == "s3://models/out/a/b/two.json"
    bench.fakes.later.run()
    assert bench.read("s3://models/out/a/b/two.json") == b"TWO"


@pytest.mark.parametrize(
    ("content", "message"), [(b"bad", "Received client error (400)"), (b"slow", "Your invocation timed out")]
)
def test_a_failure_lies_where_it_was_promised(content: bytes, message: str) -> None:
    bench = Bench()
    answer = bench.ask(content)
    bench.fakes.later.run()
    assert message in (bench.read(answer["FailureLocation"]) or b"").decode()
    assert bench.read(answer["OutputLocation"]) is None


def test_an_input_that_is_not_there_is_a_failure() -> None:
    bench = Bench()
    answer = bench.invoker.invoke({"EndpointName": "E", "InputLocation": "s3://models/none"})
    bench.fakes.later.run()
    assert b"no such object" in (bench.read(answer["FailureLocation"]) or b"")


def test_each_instance_gets_only_so_many_at_once() -> None:
    bench = Bench(count=2)
    for _ in range(5):
        bench.ask()
    assert len(bench.fakes.later.work) == 2
    assert bench.measured()["ApproximateBacklogSize"] == 5
    bench.fakes.later.run()
    found = bench.measured()
    assert (found["ApproximateBacklogSize"], found["InvocationsProcessed"]) == (0, 5)
    assert "InvocationsProcessed" not in bench.measured()


def test_without_instances_requests_wait_until_there_are_some() -> None:
    bench = Bench()
    bench.scale(0)
    answer = bench.ask()
    bench.fakes.later.run()
    found = bench.measured()
    assert bench.read(answer["OutputLocation"]) is None
    assert (found["ApproximateBacklogSizePerInstance"], found["HasBacklogWithoutCapacity"]) == (1, 1)
    bench.scale(1)
    bench.invoker.pump()
    bench.fakes.later.run()
    assert bench.read(answer["OutputLocation"]) == b"ONE"
    assert bench.measured()["HasBacklogWithoutCapacity"] == 0


def test_a_request_that_nobody_took_waits_again() -> None:
    bench = Bench()
    answer = bench.ask()
    served = next(iter(bench.fakes.engine.served.values()))
    served.running = False
    bench.fakes.later.run()
    assert bench.measured()["ApproximateBacklogSize"] == 1
    served.running = True
    bench.invoker.pump()
    bench.fakes.later.run()
    assert bench.read(answer["OutputLocation"]) == b"ONE"


def test_a_request_that_waited_too_long_is_a_failure() -> None:
    bench = Bench()
    bench.scale(0)
    answer = bench.ask(RequestTTLSeconds=60)
    bench.fakes.clock.now += 61
    bench.invoker.pump()
    bench.fakes.later.run()
    assert b"expired" in (bench.read(answer["FailureLocation"]) or b"")
    assert bench.measured()["ExpiredRequests"] == 1


def test_the_queue_of_a_deleted_endpoint_goes_with_it() -> None:
    bench = Bench()
    bench.scale(0)
    bench.ask()
    bench.fakes.do("DeleteEndpoint", EndpointName="E")
    bench.fakes.later.run()
    bench.invoker.pump()
    assert bench.invoker.backlogs == {}
    assert bench.measured() == {}


def test_each_kind_of_endpoint_is_asked_in_its_own_way() -> None:
    bench = Bench()
    with pytest.raises(ApiError, match="use InvokeEndpointAsync"):
        bench.fakes.ask()
    plain = Fakes()
    plain.endpoint()
    invoker = AsyncInvoker(cloud=plain.cloud, endpoints=plain.endpoints, spawn=plain.later.spawn, clock=plain.clock)
    with pytest.raises(ApiError, match="use InvokeEndpoint"):
        invoker.invoke({"EndpointName": "E", "InputLocation": "s3://models/in/x"})


@pytest.mark.parametrize("params", [{}, {"InputLocation": "s3://models/in/x", "Body": b"x"}])
def test_a_request_has_one_input(params: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="exactly one"):
        Bench().invoker.invoke({"EndpointName": "E", **params})


def test_describe_shows_how_requests_are_queued() -> None:
    assert Bench().fakes.describe()["AsyncInferenceConfig"] == CONFIG


@pytest.mark.parametrize(
    ("output", "variants", "message"),
    [
        ({"S3OutputPath": "s3://b/o", "NotificationConfig": {}}, [one()], "no SNS topics"),
        ({"S3OutputPath": "s3://b/o"}, [one("A"), one("B")], "one production variant"),
        ({"S3OutputPath": "ftp://b/o"}, [one()], "not an S3 address"),
    ],
)
def test_what_an_asynchronous_endpoint_cannot_be_is_refused(
    output: dict[str, Any], variants: list[dict[str, Any]], message: str
) -> None:
    fakes = Fakes()
    fakes.model()
    refused = fakes.refused(
        "CreateEndpointConfig",
        EndpointConfigName="c",
        ProductionVariants=variants,
        AsyncInferenceConfig={"OutputConfig": output},
    )
    assert message in refused.message
