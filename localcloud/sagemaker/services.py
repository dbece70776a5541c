"""Models that serve, as the server takes them: on endpoints that answer at once or later, and over whole prefixes."""

from collections.abc import Callable, Sequence

from localcloud.cloud import Cloud
from localcloud.gateway.service import Service
from localcloud.s3 import client
from localcloud.sagemaker.hosting.api import Endpoints
from localcloud.sagemaker.hosting.async_invoke import AsyncInvoker
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.hosting.instances import Host
from localcloud.sagemaker.hosting.invoke import Invoker
from localcloud.sagemaker.hosting.metrics import EndpointMetrics
from localcloud.sagemaker.hosting.scaled_variants import scaled_variants
from localcloud.sagemaker.transform.api import Transforms
from localcloud.threads import Threads


def services(cloud: Cloud) -> list[Service]:
    """Every Service of hosting. They share one catalogue of models and one way to start containers."""
    catalogue = Catalogue(cloud=cloud)
    threads = Threads()
    host = Host(cloud=cloud, closing=threads.closing)
    endpoints = Endpoints(
        cloud=cloud, catalogue=catalogue, host=host, alarmed=cloudwatch_alarms(cloud), scaled=scaled_variants(cloud),
        spawn=threads.spawn,
    )  # fmt: skip
    metrics = EndpointMetrics(running=endpoints.running)
    cloud.metrics.ask(metrics.collect)
    invoker = Invoker(cloud=cloud, endpoints=endpoints, metrics=metrics)
    later = AsyncInvoker(cloud=cloud, endpoints=endpoints, spawn=threads.spawn)
    cloud.metrics.ask(later.collect)
    threads.spawn(later.run)
    transforms = Transforms(cloud=cloud, catalogue=catalogue, host=host, spawn=threads.spawn)
    return [
        transforms.service(),
        Service(name="sagemaker", handlers=catalogue.handlers() | endpoints.handlers(), close=threads.close),
        Service(name="sagemaker-runtime", handlers=invoker.handlers() | later.handlers()),
    ]


def cloudwatch_alarms(cloud: Cloud) -> Callable[[Sequence[str]], list[str]]:
    """Return the function that asks localcloud's own CloudWatch which of these alarms ring."""

    def alarmed(names: Sequence[str]) -> list[str]:
        cloudwatch = client("cloudwatch", cloud.endpoint_url, cloud.region)
        # moto takes names or a state, not both
        alarms = cloudwatch.describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        return [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]

    return alarmed
