"""What serves: [endpoint] and [endpoints.*] as models, configurations and endpoints; what cannot is refused (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.config import endpoint as section
from deploy.config.settings import Settings
from deploy.endpoints import rollout, scaling
from deploy.endpoints.alarm import Alarm, alarms
from deploy.endpoints.endpoint import STARTING_S, Endpoint, Share, facts
from deploy.endpoints.endpoint_config import EndpointConfig, config_name, identity
from deploy.endpoints.model import Model, model
from deploy.endpoints.names import place, short_name
from deploy.errors import DeployError
from deploy.images import cuda
from deploy.images.facts import ImageFacts
from deploy.planning.resource import Resource

TOLERANCE = "KENNEL_GOLDEN_TOLERANCE"
ANY_ANSWER = "1"  # no probability differs by more
SERVERLESS_IMAGE_GB = 10  # rule 45
VALUE_BYTES, ALL_BYTES = 1024, 32 * 1024  # rule 38


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What an endpoint serves with: the image as AWS is told it, its facts, and each variant's artifact (S3 URIs)."""

    image: str
    facts: ImageFacts
    artifacts: Mapping[str, str]


def endpoint(settings: Settings, name: str, serving: Serving) -> tuple[Resource, ...]:
    """Models, alarms, configuration, endpoint and what scales it, in the order in which they are made. `name` is AWS's.

    Raises DeployError for what cannot work.
    """
    wanted = settings.all_endpoints[name]
    check(settings, name, serving.facts)
    models = {
        variant: model(settings, image=serving.image, artifact=artifact, environment=environment(wanted))
        for variant, artifact in serving.artifacts.items()
    }
    variants = tuple(
        production_variant(key, variant, wanted, model_name=models[key].name, image=serving.facts)
        for key, variant in wanted.all_variants.items()
    )
    watch = alarms(settings, name)
    config = _config(settings, name, variants, serving.facts)
    made = _endpoint(settings, name, config, models, watch)
    moved: tuple[Resource, ...] = (scaling.release(settings, name), made, *scaling.scalable_targets(settings, name))
    return (*_unique(models), *watch, config, *moved)


def check(settings: Settings, name: str, image: ImageFacts) -> None:
    """Raises DeployError for what AWS would refuse, or take and never bring into service."""
    wanted, where = settings.all_endpoints[name], place(settings, name)
    _check_environment(environment(wanted), f"{where}.environment")
    scaling.check_endpoint(wanted, f"{where}.autoscaling")
    if wanted.kind == "serverless":
        _check_serverless(wanted, where, image)
        return
    for key, variant in wanted.all_variants.items():
        kind = str(variant.instance_type)
        at = f"{where}.variants.{key}" if wanted.variants else where
        cuda.check_architecture(kind, where=at)
        cuda.host_image(kind, cuda=image.cuda, chosen=wanted.inference_ami, where=at)


def check_main(settings: Settings) -> None:
    """Raises DeployError for a main endpoint that the function cannot ask."""
    if settings.endpoint.kind == "async":
        raise DeployError(
            "endpoint.kind: the Lambda asks this endpoint and waits, and an async one answers later; give that one a "
            "table of its own, [endpoints.NAME]"
        )


def environment(wanted: section.Endpoint) -> dict[str, str]:
    """The serving container's variables: those of deploy.toml, and how closely it must repeat its golden pictures."""
    told = wanted.rollout.golden_tolerance
    tolerance = (f"{told:g}" if told else "") if wanted.rollout.golden else ANY_ANSWER
    return {**({TOLERANCE: tolerance} if tolerance else {}), **wanted.environment}


def production_variant(
    name: str, variant: section.Variant, wanted: section.Endpoint, *, model_name: str, image: ImageFacts
) -> dict[str, Any]:
    """A ProductionVariant of CreateEndpointConfig (rules 29, 40, 45)."""
    shown: dict[str, Any] = {"VariantName": name, "ModelName": model_name, "InitialVariantWeight": variant.weight}
    if wanted.kind == "serverless":
        limits = {"MemorySizeInMB": wanted.memory_mb, "MaxConcurrency": wanted.max_concurrency}
        warm = wanted.provisioned_concurrency
        return {**shown, "ServerlessConfig": {**limits, **({"ProvisionedConcurrency": warm} if warm else {})}}
    kind = str(variant.instance_type)
    ami = cuda.host_image(kind, cuda=image.cuda, chosen=wanted.inference_ami, where=name)
    return {
        **shown,
        "InitialInstanceCount": variant.instance_count,
        "InstanceType": kind,
        "ContainerStartupHealthCheckTimeoutInSeconds": wanted.startup_timeout_s,
        **({"InferenceAmiVersion": ami} if ami else {}),
    }


def asynchronous(settings: Settings, name: str) -> dict[str, Any]:
    """The AsyncInferenceConfig of an async endpoint; {} of another (rule 42)."""
    wanted = settings.all_endpoints[name]
    if wanted.kind != "async":
        return {}
    folder = async_folder(settings, name)
    return {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": wanted.async_concurrency},
        "OutputConfig": {"S3OutputPath": f"{folder}/out", "S3FailurePath": f"{folder}/failed"},
    }


def async_folder(settings: Settings, name: str) -> str:
    """Where an async endpoint's requests, answers and failures lie (an S3 URI)."""
    return f"s3://{settings.bucket}/async/{short_name(settings, name)}"


def _config(settings: Settings, name: str, variants: tuple[dict[str, Any], ...], image: ImageFacts) -> EndpointConfig:
    more = asynchronous(settings, name)
    notes = (cuda.note(each.get("InstanceType", ""), cuda=image.cuda) for each in variants)
    return EndpointConfig(
        name=config_name(name, [identity(variant) for variant in variants], more),
        endpoint=name,
        variants=variants,
        asynchronous=more,
        note="; ".join(dict.fromkeys(note for note in notes if note)),
        tags=settings.tags,
    )


def _endpoint(
    settings: Settings, name: str, config: EndpointConfig, models: Mapping[str, Model], watch: tuple[Alarm, ...]
) -> Endpoint:
    wanted, names = settings.all_endpoints[name], [alarm.name for alarm in watch]
    is_serverless = wanted.kind == "serverless"
    return Endpoint(
        name=name,
        kind=wanted.kind,
        config=config.name,
        serves={each["VariantName"]: facts(each, models[each["VariantName"]].container) for each in config.variants},
        shares={} if is_serverless else _shares(wanted),
        deployment={} if is_serverless else rollout.deployment(wanted.rollout, names),
        movement=rollout.words(wanted.rollout, names),
        patience_s=STARTING_S + wanted.startup_timeout_s + wanted.rollout.seconds,
        tags=settings.tags,
    )


def _shares(wanted: section.Endpoint) -> dict[str, Share]:
    """Weights and counts; where the autoscaler sets the count it is nobody else's."""
    return {
        name: Share(weight=variant.weight, count=None if wanted.autoscaling.is_on else variant.instance_count)
        for name, variant in wanted.all_variants.items()
    }


def _unique(models: Mapping[str, Model]) -> tuple[Model, ...]:
    return tuple({each.name: each for each in models.values()}.values())


def _check_serverless(wanted: section.Endpoint, where: str, image: ImageFacts) -> None:
    """Deployment guardrails, GPUs and large images are not to be had there (rules 45, 57)."""
    shift = wanted.rollout
    if image.size_bytes > SERVERLESS_IMAGE_GB * 10**9:
        size = image.size_bytes / 10**9
        raise DeployError(f"{where}: the image has {size:.1f} GB and a serverless endpoint takes {SERVERLESS_IMAGE_GB}")
    if wanted.inference_ami or image.cuda:
        raise DeployError(f'{where}: serverless endpoints have no GPU; choose kind = "real-time"')
    if shift.how != "all-at-once" or shift.keep_old_seconds or shift.max_error_percent or shift.max_latency_ms:
        raise DeployError(
            f"{where}.rollout: a serverless endpoint moves all at once and without alarms (SageMaker's deployment "
            'guardrails are for real-time and async ones); leave all but golden out, or choose kind = "real-time"'
        )


def _check_environment(values: Mapping[str, str], where: str) -> None:
    for key, value in values.items():
        if max(len(key.encode()), len(value.encode())) > VALUE_BYTES:
            raise DeployError(f"{where}.{key}: a variable may have {VALUE_BYTES} bytes (rule 38)")
    if len(values) > 100 or sum(len(f"{key}{value}".encode()) for key, value in values.items()) > ALL_BYTES:
        raise DeployError(f"{where}: at most 100 variables of 32 KB together (rule 38)")
