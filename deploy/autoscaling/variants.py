"""The form in which an endpoint's variants run now: real-time or async on an instance type, or serverless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.values import Call


def describe_config(name: str, call: Call) -> Mapping[str, Any] | None:
    return lookup(call, sagemaker("DescribeEndpointConfig", EndpointConfigName=name))


def running_forms(endpoint: str, call: Call) -> dict[str, str]:
    """The form of each variant of an endpoint, by ResourceId; empty for an endpoint that does not exist."""
    request = sagemaker("DescribeEndpoint", EndpointName=endpoint)
    config = (lookup(call, request) or {}).get("EndpointConfigName", "")
    running = (describe_config(config, call) if config else None) or {}
    kind = "async" if running.get("AsyncInferenceConfig") else "real-time"
    return {
        f"endpoint/{endpoint}/variant/{each['VariantName']}": form(kind, each.get("InstanceType", ""))
        for each in running.get("ProductionVariants", ())
    }


def form(kind: str, instance_type: str) -> str:
    return f"{kind} {instance_type}" if instance_type else "serverless"
