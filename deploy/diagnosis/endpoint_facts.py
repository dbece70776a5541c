"""The facts of an endpoint's variants: instances, what scaling did, and which models they serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import autoscaling, sagemaker
from deploy.config.endpoint import Variant
from deploy.config.settings import Settings
from deploy.diagnosis.facts import ObservedVariant
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import DeployError
from deploy.jobs.latest import latest_job
from deploy.values import Call

SCALED = re.compile(r"Successfully set desired instance count to (\d+)")


def variants(
    settings: Settings, call: Call, endpoint: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]
) -> tuple[ObservedVariant, ...]:
    """The variants of the configuration that runs, or that is being deployed."""
    name = str(endpoint["EndpointName"])
    running = {each["VariantName"]: each for each in endpoint.get("ProductionVariants", ())}
    chosen = next((spec.section.all_variants for spec in endpoint_specs(settings) if spec.name == name), {})
    observed = []
    for variant in configs[0]["ProductionVariants"] if configs else ():
        key = variant["VariantName"]
        count, when = _scaled(call, f"endpoint/{name}/variant/{key}")
        newest, newest_at = _newest(settings, call, chosen.get(key))
        observed.append(
            ObservedVariant(
                name=key,
                instance_type=variant.get("InstanceType", ""),
                host_image=variant.get("InferenceAmiVersion", ""),
                now=int(running.get(key, {}).get("CurrentInstanceCount", 0)),
                initial=int(variant.get("InitialInstanceCount", 0)),
                scaled=count,
                scaled_at=when,
                artifact=_artifact(call, str(variant.get("ModelName", ""))),
                newest=newest,
                newest_at=newest_at,
            )
        )
    return tuple(observed)


def _scaled(call: Call, resource: str) -> tuple[int, datetime | None]:
    """The count that scaling set last, and when. Activities come newest first."""
    params = {"ServiceNamespace": "sagemaker", "ResourceId": resource}
    request = autoscaling("DescribeScalingActivities", **params)
    for activity in (lookup(call, request) or {}).get("ScalingActivities", ()):
        count = SCALED.search(activity.get("StatusMessage", ""))
        if count and activity.get("StatusCode") == "Successful":
            return int(count[1]), activity.get("EndTime") or activity["StartTime"]
    return 0, None


def _artifact(call: Call, model: str) -> str:
    request = sagemaker("DescribeModel", ModelName=model)
    answer = lookup(call, request) or {}
    return str((answer.get("PrimaryContainer") or {}).get("ModelDataUrl", ""))


def _newest(settings: Settings, call: Call, variant: Variant | None) -> tuple[str, datetime | None]:
    """The artifact that deploy.toml asks for now, and when it was made; nothing for a variant that it does not have."""
    if variant is None:
        return "", None
    try:
        job = latest_job(settings, call, training=variant.training, job=variant.job)
    except DeployError:
        return "", None
    if not job or job.status != "Completed":
        return "", None
    return job.artifact, job.ended
