"""Refuses updates that remove or change variants which are registered as scalable targets (rule 53)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any

from localcloud.aws_client import client
from localcloud.cloud import Cloud
from localcloud.sagemaker.records import invalid


def require_released(
    scaled: Collection[str], running: Mapping[str, Mapping[str, Any]], desired: Sequence[Mapping[str, Any]]
) -> None:
    """Raise ApiError if an update removes a scaled variant or changes its instance type.

    `running` and `desired` hold production variants as in endpoint configurations.
    """
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in desired}
    held = [name for name in scaled if name in running and types.get(name) != running[name].get("InstanceType")]
    if held:
        names = ",".join(f'"{name}"' for name in sorted(held))
        raise invalid(
            f'The variant(s) "[{names}]" must be deregistered as scalable targets with AWS Auto Scaling before they '
            "can be removed or have their instance type updated."
        )


def scaled_variants(cloud: Cloud) -> Callable[[str], list[str]]:
    """Return a function that lists an endpoint's scaled variants, from localcloud's Application Auto Scaling."""

    @cache
    def scaling() -> Any:
        return client("application-autoscaling", cloud.endpoint_url, cloud.region)

    def scaled(endpoint: str) -> list[str]:
        prefix = f"endpoint/{endpoint}/variant/"
        pages = scaling().get_paginator("describe_scalable_targets").paginate(ServiceNamespace="sagemaker")
        resources = [target["ResourceId"] for page in pages for target in page["ScalableTargets"]]
        return [name.removeprefix(prefix) for name in resources if name.startswith(prefix)]

    return scaled
