"""Lambda on an in-memory engine. Background work waits for `later.run()`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.awslambda.emulator import PATH, Sandboxes
from localcloud.awslambda.functions import Functions
from localcloud.awslambda.invoke import Invoker
from localcloud.awslambda.service import settings_handlers
from localcloud.containers.http import BrokenError
from localcloud.containers.http import Response as ContainerResponse
from localcloud.errors import ApiError
from localcloud.gateway.protocol import Response, serialize, serialize_error
from localcloud.gateway.validation import validate
from localcloud.service_quotas.limits import Quotas
from tests.unit.localcloud.sagemaker.hosting.fakes import Clock, Later, Served, ServingEngine, serving_cloud

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ROLE = "arn:aws:iam::123456789012:role/kennel"

IMAGES = tuple(f"{prefix}fn:{name}" for name in ("1", "2", "3", "bad") for prefix in ("", "sha256:"))


def emulator(container: Served, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> ContainerResponse:
    """A response as the emulator sends it. The event says which one."""
    event = json.loads(body) if path == PATH else {}
    if isinstance(event, dict) and event.get("die"):
        raise BrokenError("reset")
    if isinstance(event, dict) and "image" in event and container.spec.image.endswith("bad"):
        answer = {"statusCode": 424, "error": {"code": "endpoint-refused", "message": "no such endpoint"}}
        return ContainerResponse(status=200, headers={}, body=json.dumps(answer).encode())
    result = {
        **({"statusCode": 200} if isinstance(event, dict) and "image" in event else {}),
        "event": event,
        "container": container.id,
        "version": container.spec.environment["AWS_LAMBDA_FUNCTION_VERSION"],
    }
    return ContainerResponse(status=200 if path == PATH else 404, headers={}, body=json.dumps(result).encode())


@dataclass
class Fakes:
    """Lambda with an in-memory engine. `point` in [0, 1) chooses among an alias's versions."""

    engine: ServingEngine = field(default_factory=lambda: ServingEngine(emulator, images=IMAGES))
    point: float = 0.0
    quotas: Quotas = field(default_factory=Quotas)

    def __post_init__(self) -> None:
        self.later, self.clock = Later(), Clock()
        self.cloud = replace(serving_cloud(self.engine), quotas=self.quotas)
        sandboxes = Sandboxes(
            cloud=self.cloud, emulator=lambda _: Path("/cache/rie"), connect=self.engine.http, clock=self.clock,
            sleep=lambda _: None, direct=True,
        )  # fmt: skip
        self.functions = Functions(cloud=self.cloud, sandboxes=sandboxes, spawn=self.later.spawn, clock=self.clock)
        self.settings = settings_handlers(self.functions)
        self.invoker = Invoker(functions=self.functions, pause=self.clock.wait, point=lambda: self.point)

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return self.functions.handlers() | self.settings | self.invoker.handlers()

    def do(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.handlers()[operation]({"FunctionName": "f", **params})

    def answer(self, operation: str, **params: Any) -> Response:
        """The HTTP response of a whole request: checked against the model, answered, written as Lambda writes it."""
        try:
            validate("lambda", operation, params)
            return serialize("lambda", operation, self.handlers()[operation](params))
        except ApiError as error:
            return serialize_error("lambda", error)

    def create(self, **params: Any) -> dict[str, Any]:
        request = {"PackageType": "Image", "Code": {"ImageUri": "fn:1"}, "Role": ROLE}
        return self.do("CreateFunction", **(request | params))

    def active(self, **params: Any) -> None:
        self.create(**params)
        self.later.run()

    def call(self, event: Any = None, **params: Any) -> dict[str, Any]:
        answer = self.do("Invoke", Payload=json.dumps(event or {}).encode(), **params)
        return {**answer, "result": json.loads(answer["Payload"])}

    def refused(self, operation: str, **params: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.do(operation, **params)
        return caught.value
