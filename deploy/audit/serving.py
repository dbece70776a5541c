"""Endpoints that are billed but idle, or do not scale; images with known vulnerabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from deploy.audit.finding import Finding
from deploy.aws.client import lookup, pages
from deploy.aws.requests import autoscaling, cloudwatch, ecr, sagemaker
from deploy.values import Call

IDLE = timedelta(days=1)
SEVERE = ("CRITICAL", "HIGH")


def endpoints(call: Call, now: datetime) -> Iterator[Finding]:
    """Endpoints in service that are idle or do not scale. Raises AwsError where these credentials may not look."""
    targets = autoscaling("DescribeScalableTargets", ServiceNamespace="sagemaker")
    scaled = {each["ResourceId"] for each in pages(call, targets, items="ScalableTargets")}
    listing = sagemaker("ListEndpoints", StatusEquals="InService")
    for item in pages(call, listing, items="Endpoints"):
        name = item["EndpointName"]
        describe = sagemaker("DescribeEndpoint", EndpointName=name)
        for variant in (lookup(call, describe) or {}).get("ProductionVariants", ()):
            invocations = _invocations(call, name, variant["VariantName"], now)
            is_young = now - item["CreationTime"] < IDLE
            yield from endpoint(name, variant, scaled, None if is_young else invocations)


def endpoint(name: str, variant: Mapping[str, Any], scaled: set[str], invocations: float | None) -> Iterator[Finding]:
    """One variant. `invocations` are those of the last day; None for an endpoint that is younger than a day. Pure."""
    key = variant["VariantName"]
    what = f"endpoint/{name}"
    if "CurrentInstanceCount" not in variant:
        return  # serverless: scales by itself, and costs nothing while idle
    if invocations == 0:
        finding = f"variant {key} got no request in a day, and is billed"
        yield Finding(severity="medium", what=what, finding=finding, fix="./inv down, or aws sagemaker delete-endpoint")
    if f"endpoint/{name}/variant/{key}" not in scaled:
        fix = "set endpoint.autoscaling.max in deploy.toml; ./inv autoscale"
        yield Finding(severity="low", what=what, finding=f"variant {key} does not scale", fix=fix)


def images(call: Call, _: datetime) -> Iterator[Finding]:
    """The newest image of each repository. Raises AwsError where these credentials may not look."""
    listing = ecr("DescribeRepositories")
    for repository in pages(call, listing, items="repositories", token=("nextToken", "nextToken")):
        name = repository["repositoryName"]
        describe = ecr("DescribeImages", repositoryName=name)
        pushed = pages(call, describe, items="imageDetails", token=("nextToken", "nextToken"))
        newest = max(pushed, key=lambda each: each["imagePushedAt"], default=None)
        if newest is not None:
            yield from image(name, newest)


def image(repository: str, details: Mapping[str, Any]) -> Iterator[Finding]:
    """The severe findings of an image's scan. Pure."""
    digest = details["imageDigest"]
    counts = details.get("imageScanFindingsSummary", {}).get("findingSeverityCounts", {})
    severe = {level: counts[level] for level in SEVERE if counts.get(level)}
    if severe:
        summary = ", ".join(f"{count} {level}" for level, count in severe.items())
        see = f"aws ecr describe-image-scan-findings --repository-name {repository}"
        yield Finding(
            severity="high",
            what=f"image/{repository}",
            finding=f"the scan of its newest image has {summary} findings",
            fix=f"./inv lock --upgrade build push; to see them: {see} --image-id imageDigest={digest}",
        )


def _invocations(call: Call, name: str, variant: str, now: datetime) -> float:
    params = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Dimensions": [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": variant}],
        "StartTime": now - IDLE,
        "EndTime": now,
        "Period": 3600,
        "Statistics": ["Sum"],
    }
    answer = call(cloudwatch("GetMetricStatistics", **params))
    return float(sum(point["Sum"] for point in answer.get("Datapoints", ())))
