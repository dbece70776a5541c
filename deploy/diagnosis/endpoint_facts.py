"""What decides about an endpoint's variants: instances, where they began, what scaling did, which models they serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import autoscaling, sagemaker
from deploy.config.settings import Settings
from deploy.diagnosis.facts import VariantSeen
from deploy.errors import DeployError
from deploy.jobs.latest import latest_job
from deploy.values import Call

SCALED = re.compile(r"Successfully set desired instance count to (\d+)")


def variants(
    settings: Settings, call: Call, endpoint: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]
) -> tuple[VariantSeen, ...]:
    """The variants of the configuration that runs, or is coming up."""
    name = str(endpoint["EndpointName"])
    running = {each["VariantName"]: each for each in endpoint.get("ProductionVariants", ())}
    found = []
    for variant in configs[0]["ProductionVariants"] if configs else ():
        key = variant["VariantName"]
        count, when = _scaled(call, f"endpoint/{name}/variant/{key}")
        newest, newest_at = _newest(settings, call, name, key)
        found.append(
            VariantSeen(
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
    return tuple(found)


def _scaled(call: Call, resource: str) -> tuple[int, datetime | None]:
    """What scaling set a variant to last, and when. Activities come newest first."""
    params = {"ServiceNamespace": "sagemaker", "ResourceId": resource}
    request = autoscaling("DescribeScalingActivities", **params)
    for activity in (lookup(call, request) or {}).get("ScalingActivities", ()):
        count = SCALED.search(activity.get("StatusMessage", ""))
        if count and activity.get("StatusCode") == "Successful":
            return int(count[1]), activity.get("EndTime") or activity["StartTime"]
    return 0, None


def _artifact(call: Call, model: str) -> str:
    request = sagemaker("DescribeModel", ModelName=model)
    found = lookup(call, request) or {}
    return str((found.get("PrimaryContainer") or {}).get("ModelDataUrl", ""))


def _newest(settings: Settings, call: Call, endpoint: str, variant: str) -> tuple[str, datetime | None]:
    """The artifact that deploy.toml would have the variant serve now, and when it was made."""
    wanted = settings.all_endpoints.get(endpoint)
    chosen = wanted.all_variants.get(variant) if wanted else None
    if chosen is None:
        return "", None
    try:
        job = latest_job(settings, call, training=chosen.training, job=chosen.job)
    except DeployError:
        return "", None
    if not job or job.status != "Completed":
        return "", None
    return job.artifact, job.ended
