"""The resources of an endpoint, in the order in which a plan creates them (pure).

Models, alarms, the configuration, the release of old scalable targets, the endpoint, its scalable targets: each is a
module of this package, and `endpoint` puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.config import endpoint as config
from deploy.endpoints import rollout, scaling
from deploy.endpoints.alarm import Alarm, alarms
from deploy.endpoints.checks import check_image
from deploy.endpoints.endpoint import OBSERVABILITY, STARTING_S, Endpoint, Share, facts
from deploy.endpoints.endpoint_config import EndpointConfig, config_name, identity
from deploy.endpoints.model import Model, model
from deploy.endpoints.spec import EndpointSpec
from deploy.images import cuda
from deploy.images.facts import ImageFacts
from deploy.planning.resource import Resource

OBSERVED = (
    "detailed observability: every minute each instance sends its own metrics and those of /metrics to CloudWatch, "
    "which bills them by the GB"
)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """An endpoint with the image that serves it (its URI for AWS, and its facts) and each variant's artifact (S3
    URIs)."""

    spec: EndpointSpec
    image: str
    facts: ImageFacts
    artifacts: Mapping[str, str]


def endpoint(serving: Serving) -> tuple[Resource, ...]:
    """Everything that an endpoint consists of, what is used before what uses it.

    The settings are checked already (checks.py). Raises DeployError for an image that cannot run there.
    """
    spec = serving.spec
    check_image(spec, serving.facts)
    models = {
        variant: model(spec, image=serving.image, artifact=artifact) for variant, artifact in serving.artifacts.items()
    }
    variants = tuple(
        production_variant(spec, key, variant, model_name=models[key].name, image=serving.facts)
        for key, variant in spec.section.all_variants.items()
    )
    watch = alarms(spec)
    configuration = _config(spec, variants, serving.facts)
    return (
        *_unique(models),
        *watch,
        configuration,
        scaling.release(spec),
        _endpoint(spec, configuration, models, watch),
        *scaling.scalable_targets(spec),
    )


def production_variant(
    spec: EndpointSpec, key: str, variant: config.Variant, *, model_name: str, image: ImageFacts
) -> dict[str, Any]:
    """A ProductionVariant of CreateEndpointConfig (rules 29, 40, 45). Raises DeployError where no host image runs the
    serving image."""
    section = spec.section
    common: dict[str, Any] = {"VariantName": key, "ModelName": model_name, "InitialVariantWeight": variant.weight}
    if spec.is_serverless:
        limits = {"MemorySizeInMB": section.memory_mb, "MaxConcurrency": section.max_concurrency}
        warm = section.provisioned_concurrency
        return {**common, "ServerlessConfig": {**limits, **({"ProvisionedConcurrency": warm} if warm else {})}}
    instance_type = str(variant.instance_type)
    ami = cuda.host_image(instance_type, cuda=image.cuda, chosen=section.inference_ami, where=spec.table_of(key))
    return {
        **common,
        "InitialInstanceCount": variant.instance_count,
        "InstanceType": instance_type,
        "ContainerStartupHealthCheckTimeoutInSeconds": section.startup_timeout_s,
        **({"InferenceAmiVersion": ami} if ami else {}),
    }


def asynchronous(spec: EndpointSpec) -> dict[str, Any]:
    """The AsyncInferenceConfig of an async endpoint; {} for others (rule 42)."""
    if not spec.is_async:
        return {}
    folder = spec.async_folder
    return {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": spec.section.async_concurrency},
        "OutputConfig": {"S3OutputPath": f"{folder}/out", "S3FailurePath": f"{folder}/failed"},
    }


def metrics(spec: EndpointSpec) -> dict[str, Any]:
    """The MetricsConfig of an endpoint with instances; {} for a serverless one. AWS turns detailed observability on
    where a request leaves it out (rule 39)."""
    return {} if spec.is_serverless else {OBSERVABILITY: spec.section.detailed_observability}


def _config(spec: EndpointSpec, variants: tuple[dict[str, Any], ...], image: ImageFacts) -> EndpointConfig:
    more, observed = asynchronous(spec), metrics(spec)
    notes = [cuda.note(each.get("InstanceType", ""), cuda=image.cuda) for each in variants]
    notes += [OBSERVED] if observed.get(OBSERVABILITY) else []
    content = ([identity(variant) for variant in variants], more, *([observed] if observed else []))
    return EndpointConfig(
        name=config_name(spec.name, *content),
        endpoint=spec.name,
        variants=variants,
        asynchronous=more,
        metrics=observed,
        note="; ".join(dict.fromkeys(note for note in notes if note)),
        tags=spec.tags,
    )


def _endpoint(
    spec: EndpointSpec, configuration: EndpointConfig, models: Mapping[str, Model], watch: tuple[Alarm, ...]
) -> Endpoint:
    section, names = spec.section, [alarm.name for alarm in watch]
    return Endpoint(
        spec=spec,
        config=configuration.name,
        serves={
            each["VariantName"]: facts(each, models[each["VariantName"]].container, configuration.metrics)
            for each in configuration.variants
        },
        shares={} if spec.is_serverless else _shares(section),
        deployment={} if spec.is_serverless else rollout.deployment(section.rollout, names),
        movement=rollout.words(section.rollout, names),
        patience_s=STARTING_S + section.startup_timeout_s + section.rollout.seconds,
    )


def _shares(section: config.Endpoint) -> dict[str, Share]:
    """Weights and counts. Where autoscaling is on it alone sets the count."""
    return {
        name: Share(weight=variant.weight, count=None if section.autoscaling.is_on else variant.instance_count)
        for name, variant in section.all_variants.items()
    }


def _unique(models: Mapping[str, Model]) -> tuple[Model, ...]:
    return tuple({each.name: each for each in models.values()}.values())
