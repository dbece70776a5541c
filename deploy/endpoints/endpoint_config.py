"""An endpoint configuration: which models serve on which instances. Its name is a hash of its content, so that an
endpoint can return to an earlier configuration by name.

Weights and instance counts are not part of the hash: they belong to the endpoint, and change while it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.autoscaling.variants import describe_config
from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags, tag_list, tags_of
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, State, Step, content_hash

ENDPOINT_TAG = "kennel:endpoint"
SHARES = ("InitialInstanceCount", "InitialVariantWeight")
LONGEST = 63


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Production variants as CreateEndpointConfig takes them, what an async endpoint adds (rule 42), and which metrics
    the instances publish (rule 39)."""

    name: str
    endpoint: str
    variants: tuple[Mapping[str, Any], ...]
    asynchronous: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"endpoint-config/{self.name}"

    def read(self, call: Call) -> State | None:
        answer = describe_config(self.name, call)
        if answer is None:
            return None
        listed = call(sagemaker("ListTags", ResourceArn=answer["EndpointConfigArn"]))
        return State(attributes={"arn": answer["EndpointConfigArn"]}, tags=tags_of(listed.get("Tags", ())))

    def plan(self, observed: State | None) -> Step:
        if observed is not None:
            require_ours(self.address, observed, self.tags)
            return unchanged(self.address)
        parts = {"AsyncInferenceConfig": self.asynchronous, "MetricsConfig": self.metrics}
        more = {name: dict(part) for name, part in parts.items() if part}
        request = sagemaker(
            "CreateEndpointConfig",
            EndpointConfigName=self.name,
            ProductionVariants=[dict(variant) for variant in self.variants],
            Tags=tag_list({**self.tags, ENDPOINT_TAG: self.endpoint}),
            **more,
        )
        reason = f"new: {', '.join(readable(variant) for variant in self.variants)}"
        return Step(action="create", address=self.address, reason=reason, acts=(request,), touches=self.note)


def config_name(endpoint: str, *content: Any) -> str:
    """The name of a configuration: the endpoint's, cut where AWS's 63 characters need it, and the content's hash."""
    return named(endpoint, content_hash(endpoint, *content))


def named(endpoint: str, key: str) -> str:
    """The name of the configuration whose key in the endpoint's history is `key`."""
    return f"{endpoint[: LONGEST - 1 - len(key)]}-{key}"


def key_of(config: str) -> str:
    """A configuration's key in a history: the hash at the end of its name."""
    return config.rpartition("-")[2]


def identity(variant: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that tell variants apart: all but weight and count."""
    return {key: value for key, value in variant.items() if key not in SHARES}


def readable(variant: Mapping[str, Any]) -> str:
    """A variant in words: "main: 2 × ml.m5.large, weight 1"."""
    serverless = variant.get("ServerlessConfig")
    if serverless:
        return (
            f"{variant['VariantName']}: serverless, {serverless['MemorySizeInMB']} MB, "
            f"{serverless['MaxConcurrency']} at once"
        )
    count, kind = variant["InitialInstanceCount"], variant["InstanceType"]
    return f"{variant['VariantName']}: {count} × {kind}, weight {variant['InitialVariantWeight']:g}"


def remove_config(name: str) -> Step:
    return delete(f"endpoint-config/{name}", sagemaker("DeleteEndpointConfig", EndpointConfigName=name))


def _remove(name: str, _: Settings) -> Step:
    return remove_config(name)


KIND = ResourceKind(
    name="endpoint-config",
    names=listing("sagemaker", "ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName", NameContains="{prefix}"),
    tags=sagemaker_tags("endpoint-config"),
    remove=_remove,
)
