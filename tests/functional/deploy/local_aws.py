"""moto over HTTP, with localcloud's Lambda, notebooks, quotas and prices in front. Lambda's containers are fakes in
memory that answer every picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from localcloud.awslambda.emulator import PATH, Sandboxes
from localcloud.awslambda.functions import Functions
from localcloud.awslambda.invoke import Invoker
from localcloud.awslambda.service import settings_handlers
from localcloud.containers.http import Response
from localcloud.ec2.instances import Instances
from localcloud.ec2.records import MotoRecords
from localcloud.gateway.requests import Gate
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from localcloud.sagemaker.notebooks import Notebooks
from localcloud.service_quotas import api
from tests.unit.localcloud.sagemaker.hosting.fakes import Served, ServingEngine, serving_cloud

ANSWER = {"statusCode": 200, "predictions": [{"top": []}]}


def classified(_: Served, __: str, path: str, ___: bytes, ____: Mapping[str, str]) -> Response:
    """What a healthy function answers."""
    return Response(status=200 if path == PATH else 404, headers={}, body=json.dumps(ANSWER).encode())


class AnyImages(ServingEngine):
    """An engine that holds every image."""

    def __init__(self) -> None:
        super().__init__(classified, images=())
        self.images = _All()


class _All(tuple[str, ...]):
    __slots__ = ()

    def __contains__(self, _: object) -> bool:
        return True


def services(engine: ServingEngine, clock: Callable[[], float] = time.monotonic) -> list[Service]:
    """localcloud's Lambda, notebooks and tags; their background work runs at once."""

    def now(work: Callable[..., None], *arguments: object) -> None:
        work(*arguments)

    cloud = serving_cloud(engine)
    sandboxes = Sandboxes(cloud=cloud, emulator=lambda _: Path("/rie"), connect=engine.http, direct=True)
    functions = Functions(cloud=cloud, sandboxes=sandboxes, spawn=now, clock=clock)
    invoker = Invoker(functions=functions, pause=lambda _: True)
    notebooks = Notebooks(cloud=cloud, spawn=now, pause=lambda _: None)
    # moto keeps the records of instances, without machines; it lacks the names of AMIs.
    instances = Instances(cloud, MotoRecords(cloud.account, cloud.region), tuple)
    handlers = functions.handlers() | settings_handlers(functions) | invoker.handlers()
    return [
        Service(name="lambda", handlers=handlers),
        Service(name="sagemaker", handlers=notebooks.handlers()),
        cloud.tags.service(),
        Service(name="ssm", handlers={"GetParameter": instances.ami}),
        # moto has neither quotas nor prices, and boto3 retries its errors many times.
        api.service(cloud.quotas, arn=cloud.arn, now=cloud.now),
        api.price_list(),
    ]


@contextmanager
def local_aws(*gates: Gate, clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """The URL of a local AWS, which is emptied at the end.

    `gates` may refuse requests on purpose; `clock` tells how long functions have been idle.
    """
    emulated = services(AnyImages(), clock)
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application(emulated, region="us-east-1", health=lambda: {}, gates=gates))
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    listener.start()
    try:
        yield url
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=5)
        listener.stop()
