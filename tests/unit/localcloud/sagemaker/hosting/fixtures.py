"""Hosting as its tests see it: models, configurations and endpoints over an in-memory engine."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.hosting.api import Endpoints
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.hosting.instances import Host
from localcloud.sagemaker.hosting.invoke import Invoker
from localcloud.sagemaker.hosting.metrics import EndpointMetrics
from tests.unit.localcloud.fakes import FakeObjects
from tests.unit.localcloud.sagemaker.hosting.fakes import Clock, Later, ServingEngine, serving_cloud

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


@dataclass
class Fakes:
    """Hosting with an in-memory engine, work that waits for `later.run()`, and a clock that nothing sleeps by."""

    engine: ServingEngine = field(default_factory=ServingEngine)
    ringing: list[str] = field(default_factory=list)
    point: float = 0.0

    def __post_init__(self) -> None:
        self.later, self.clock = Later(), Clock()
        self.objects = FakeObjects("models")
        self.objects.content["models", "a/model.tar.gz"] = b"data"
        self.cloud = serving_cloud(self.engine, self.objects)
        self.catalogue = Catalogue(cloud=self.cloud)
        host = Host(
            cloud=self.cloud, connect=self.engine.http, fill=lambda *_: None, clock=self.clock,
            closing=self.clock,  # type: ignore[arg-type]  # stands in for the event
            direct=True,
        )  # fmt: skip
        self.endpoints = Endpoints(
            cloud=self.cloud, catalogue=self.catalogue, host=host, spawn=self.later.spawn, watched=False,
            alarmed=lambda names: [name for name in names if name in self.ringing],
        )  # fmt: skip
        self.metrics = EndpointMetrics(running=self.endpoints.running, clock=self.clock)
        self.invoker = Invoker(
            cloud=self.cloud, endpoints=self.endpoints, metrics=self.metrics, point=lambda: self.point, clock=self.clock
        )

    def do(self, operation: str, **params: Any) -> dict[str, Any]:
        handlers = self.catalogue.handlers() | self.endpoints.handlers() | self.invoker.handlers()
        return handlers[operation](params)

    def model(self, name: str = "m", image: str = "serve:1", **container: Any) -> None:
        self.do("CreateModel", ModelName=name, PrimaryContainer={"Image": image, **container})

    def config(self, name: str = "c", *variants: dict[str, Any], **more: Any) -> None:
        self.do("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=list(variants or [one()]), **more)

    def endpoint(self, *variants: dict[str, Any]) -> None:
        """An endpoint E in service."""
        self.model()
        self.config("c", *variants)
        self.do("CreateEndpoint", EndpointName="E", EndpointConfigName="c")
        self.later.run()

    def describe(self) -> dict[str, Any]:
        return self.do("DescribeEndpoint", EndpointName="E")

    def ask(self, **params: Any) -> dict[str, Any]:
        return self.do("InvokeEndpoint", EndpointName="E", **({"Body": b"x"} | params))

    def refused(self, operation: str, **params: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.do(operation, **params)
        return caught.value


def one(name: str = "A", model: str = "m", count: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "VariantName": name, "ModelName": model, "InitialInstanceCount": count, "InstanceType": "ml.m5.large",
    } | more  # fmt: skip
