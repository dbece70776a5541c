"""What runs in a stage now, what it costs by the hour, and since when: endpoints, function, instances, jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import autoscaling, sagemaker
from deploy.config.settings import Settings
from deploy.costs.prices import LAMBDA_GB_HOUR, SERVERLESS_GB_HOUR, Prices
from deploy.jobs import ec2_instance
from deploy.jobs.training_job import describe
from deploy.values import Call, Request

# Each kind of job: our name, the word in its operations and fields, the items of its list operation.
JOBS = (
    ("job", "TrainingJob", "TrainingJobSummaries"),
    ("transform", "TransformJob", "TransformJobSummaries"),
    ("tuning", "HyperParameterTuningJob", "HyperParameterTuningJobSummaries"),
)
RUNNING = ("InProgress", "Stopping")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing of the stage. `usd` is its cost by the hour now: None when it costs nothing by the hour, or no price is
    known. `since` is when it began to run."""

    kind: str
    name: str
    state: str
    detail: str = ""
    usd: float | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Running:
    """Details of one thing, as in Row."""

    detail: str = ""
    usd: float | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Reads details and costs of a stage's resources. Changes nothing."""

    settings: Settings
    call: Call
    prices: Prices

    def of(self, kind: str, name: str) -> Running:
        """Details of a resource; empty for a kind that is not billed by the hour."""
        readers: Mapping[str, Callable[[str], Running]] = {
            "endpoint": self._endpoint,
            "function": self._function,
            "instance": self._instance,
            "notebook": self._notebook,
        }
        return readers[kind](name) if kind in readers else Running()

    def jobs(self) -> Iterator[Row]:
        """Training, transform and tuning jobs, the newest first."""
        params = {"NameContains": f"{self.settings.prefix}-", "SortBy": "CreationTime", "SortOrder": "Descending"}
        for kind, word, items in JOBS:
            listing = sagemaker(f"List{word}s", **params)
            for each in pages(self.call, listing, items=items):
                name, status = each[f"{word}Name"], each[f"{word}Status"]
                if not self.settings.may_own(name):
                    continue
                more = self._job(name) if kind == "job" and status in RUNNING else Running()
                yield Row(kind=kind, name=name, state=status, detail=more.detail, usd=more.usd, since=more.since)

    def _ask(self, service: str, operation: str, **params: Any) -> Mapping[str, Any]:
        return lookup(self.call, Request(service=service, operation=operation, params=params)) or {}

    def _endpoint(self, name: str) -> Running:
        endpoint = self._ask("sagemaker", "DescribeEndpoint", EndpointName=name)
        if not endpoint:  # it went since it was listed
            return Running()
        config = self._ask("sagemaker", "DescribeEndpointConfig", EndpointConfigName=endpoint["EndpointConfigName"])
        types = {each["VariantName"]: each.get("InstanceType", "") for each in config.get("ProductionVariants", ())}
        bounds = self._bounds(name)
        details, costs = [], []
        for variant in endpoint.get("ProductionVariants", ()):
            key = variant["VariantName"]
            serverless = variant.get("CurrentServerlessConfig")
            what = _serverless(serverless) if serverless else _fleet(variant, types.get(key, ""))
            details.append(f"{key} {what}, weight {variant.get('CurrentWeight', 1):g}{bounds.get(key, '')}")
            costs.append(
                _gigabytes(serverless) * SERVERLESS_GB_HOUR
                if serverless
                else self._instances(variant.get("CurrentInstanceCount", 0), types.get(key, ""))
            )
        return Running(detail="; ".join(details), usd=_sum(costs), since=endpoint.get("CreationTime"))

    def _bounds(self, endpoint: str) -> dict[str, str]:
        """The bounds between which each variant scales, in words."""
        listing = autoscaling("DescribeScalableTargets", ServiceNamespace="sagemaker")
        prefix = f"endpoint/{endpoint}/variant/"
        return {
            each["ResourceId"].removeprefix(prefix): f", scales {each['MinCapacity']}–{each['MaxCapacity']}"
            for each in pages(self.call, listing, items="ScalableTargets")
            if each["ResourceId"].startswith(prefix)
        }

    def _instances(self, count: int, instance_type: str) -> float | None:
        price = self.prices.of("endpoint", instance_type).usd
        return None if price is None else count * price

    def _function(self, name: str) -> Running:
        listed = self._ask("lambda", "ListProvisionedConcurrencyConfigs", FunctionName=name)
        warm = sum(
            each.get("AllocatedProvisionedConcurrentExecutions", 0)
            for each in listed.get("ProvisionedConcurrencyConfigs", ())
        )
        if not warm:
            return Running()
        memory = self._ask("lambda", "GetFunctionConfiguration", FunctionName=name).get("MemorySize", 0)
        usd = warm * memory / 1024 * LAMBDA_GB_HOUR
        return Running(detail=f"{warm} × {memory} MB provisioned", usd=usd)

    def _instance(self, name: str) -> Running:
        instances = ec2_instance.instances(self.settings, self.call)
        instance = next((each for each in instances if each["InstanceId"] == name), None)
        if instance is None or instance["State"]["Name"] not in ("pending", "running"):
            return Running()
        kind = instance["InstanceType"]
        return Running(detail=kind, usd=self.prices.of("ec2", kind).usd, since=instance.get("LaunchTime"))

    def _notebook(self, name: str) -> Running:
        notebook = self._ask("sagemaker", "DescribeNotebookInstance", NotebookInstanceName=name)
        if notebook.get("NotebookInstanceStatus") not in ("InService", "Pending"):
            return Running()
        kind = notebook["InstanceType"]
        return Running(detail=kind, usd=self.prices.of("notebook", kind).usd, since=notebook.get("LastModifiedTime"))

    def _job(self, name: str) -> Running:
        job = describe(name, self.call)
        if job is None:
            return Running()
        price = self.prices.of("training", job.instance_type).usd
        spot = ", spot (costs less)" if job.is_spot else ""
        usd = None if price is None else job.instance_count * price
        return Running(detail=f"{job.instance_count} × {job.instance_type}{spot}", usd=usd, since=job.started)


def _fleet(variant: Mapping[str, Any], instance_type: str) -> str:
    now, desired = variant.get("CurrentInstanceCount", 0), variant.get("DesiredInstanceCount", 0)
    return f"{now if now == desired else f'{now} of {desired}'} × {instance_type}"


def _serverless(config: Mapping[str, Any]) -> str:
    return f"serverless {config['MemorySizeInMB']} MB, at most {config['MaxConcurrency']} at once"


def _gigabytes(config: Mapping[str, Any]) -> float:
    return float(config.get("ProvisionedConcurrency", 0) * config["MemorySizeInMB"] / 1024)


def _sum(costs: list[float | None]) -> float | None:
    return None if not costs or None in costs else sum(cost or 0 for cost in costs)
