"""SageMaker's hosting and Application Auto Scaling on a port, with containers in memory and a clock that tests set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from localcloud.applicationautoscaling import service as autoscaling
from localcloud.aws_client import client
from localcloud.cloud import Cloud
from localcloud.cloudwatch.backend import CloudWatch
from localcloud.cloudwatch.monitor import Monitor
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from localcloud.sagemaker.hosting.scaled_variants import scaled_variants
from tests.unit.localcloud.sagemaker.hosting.fixtures import Fakes, one

REGION = "us-east-1"


@dataclass
class ScalingAws:
    """An AWS with the endpoint `name`. `minute` advances the clock by a minute and runs all that happens in it."""

    url: str
    fakes: Fakes
    cloud: Cloud
    monitor: Monitor
    time: list[datetime]
    name: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = client(service, self.url, REGION)
        return self.clients[service]

    def settle(self) -> None:
        """Run the background work: containers start or end."""
        self.fakes.later.run()

    def minute(self, invocations: int = 0) -> None:
        for _ in range(invocations):
            self.fakes.do("InvokeEndpoint", EndpointName=self.name, Body=b"x")
        self.time[0] += timedelta(seconds=59)
        self.monitor.tick(self.time[0].timestamp())
        self.time[0] += timedelta(seconds=1)
        self.monitor.tick(self.time[0].timestamp())
        self.settle()

    @property
    def running(self) -> int:
        return len(self.fakes.engine.running())


@contextmanager
def scaling_aws(
    *variants: dict[str, Any], name: str = "E", tags: Sequence[dict[str, str]] = (), **config: Any
) -> Iterator[ScalingAws]:
    """An AWS with an endpoint in service. The end resets moto."""
    fakes = Fakes()
    fakes.model()
    fakes.config("c", *(variants or (one(),)), **config)
    # Later than moto's own clock, which dates the states that SetAlarmState gives.
    time = [datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)]
    sockets = bind(0, ["127.0.0.1"])
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    cloudwatch = CloudWatch(account=fakes.cloud.account, region=REGION, now=lambda: time[0])
    cloud = replace(fakes.cloud, endpoint_url=url, metrics=cloudwatch, alarms=cloudwatch, now=lambda: time[0])
    fakes.endpoints.scaled = scaled_variants(cloud)
    cloudwatch.add_source(fakes.metrics.collect)
    scaling, tick = autoscaling.service(cloud)
    monitor = Monitor(metrics=cloudwatch, alarms=cloudwatch, on_tick=(tick,))
    handlers: dict[str, Callable[..., Any]] = fakes.catalogue.handlers() | fakes.endpoints.handlers()
    services = [scaling, Service(name="sagemaker", handlers=handlers), cloud.tags.service()]
    listener = Listener(sockets, Application(services, region=REGION, health=dict))
    listener.start()
    aws = ScalingAws(url=url, fakes=fakes, cloud=cloud, monitor=monitor, time=time, name=name)
    aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName="c", Tags=list(tags))
    aws.settle()
    try:
        yield aws
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=5)
        listener.stop()
