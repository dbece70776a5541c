"""What an endpoint's variants run as now: real-time or async on an instance type, or serverless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.values import Call


def describe_config(name: str, call: Call) -> Mapping[str, Any] | None:
    return lookup(call, sagemaker("DescribeEndpointConfig", EndpointConfigName=name))


def running_forms(endpoint: str, call: Call) -> dict[str, str]:
    """What the variants of an endpoint run as, by ResourceId; nothing for an endpoint that is not there."""
    request = sagemaker("DescribeEndpoint", EndpointName=endpoint)
    config = (lookup(call, request) or {}).get("EndpointConfigName", "")
    found = (describe_config(config, call) if config else None) or {}
    kind = "async" if found.get("AsyncInferenceConfig") else "real-time"
    return {
        f"endpoint/{endpoint}/variant/{each['VariantName']}": form(kind, each.get("InstanceType", ""))
        for each in found.get("ProductionVariants", ())
    }


def form(kind: str, instance_type: str) -> str:
    return f"{kind} {instance_type}" if instance_type else "serverless"
