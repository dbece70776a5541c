"""The gateway's services for hosting and batch transform, wired together."""

from collections.abc import Callable, Sequence

from localcloud.aws_client import client
from localcloud.cloud import Cloud
from localcloud.gateway.service import Service
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
    """Return every service. They share one catalogue of models and one Host, which starts containers."""
    catalogue = Catalogue(cloud=cloud)
    threads = Threads()
    host = Host(cloud=cloud, closing=threads.closing)
    endpoints = Endpoints(
        cloud=cloud, catalogue=catalogue, host=host, alarmed=cloudwatch_alarms(cloud), scaled=scaled_variants(cloud),
        spawn=threads.spawn,
    )  # fmt: skip
    metrics = EndpointMetrics(running=endpoints.running)
    cloud.metrics.add_source(metrics.collect)
    invoker = Invoker(cloud=cloud, endpoints=endpoints, metrics=metrics)
    async_invoker = AsyncInvoker(cloud=cloud, endpoints=endpoints, spawn=threads.spawn)
    cloud.metrics.add_source(async_invoker.collect)
    threads.spawn(async_invoker.run)
    transforms = Transforms(cloud=cloud, catalogue=catalogue, host=host, spawn=threads.spawn)
    return [
        transforms.service(),
        Service(name="sagemaker", handlers=catalogue.handlers() | endpoints.handlers(), close=threads.close),
        Service(name="sagemaker-runtime", handlers=invoker.handlers() | async_invoker.handlers()),
    ]


def cloudwatch_alarms(cloud: Cloud) -> Callable[[Sequence[str]], list[str]]:
    """Return a function that tells which of some alarms are in ALARM, from localcloud's CloudWatch."""

    def alarmed(names: Sequence[str]) -> list[str]:
        cloudwatch = client("cloudwatch", cloud.endpoint_url, cloud.region)
        # moto takes names or a state, not both
        alarms = cloudwatch.describe_alarms(AlarmNames=list(names))["MetricAlarms"]
        return [alarm["AlarmName"] for alarm in alarms if alarm["StateValue"] == "ALARM"]

    return alarmed
