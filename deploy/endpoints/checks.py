"""What AWS would refuse, or accept and never bring into service, refused before any call (pure).

A command checks its endpoints once, with `check`, before it asks AWS for anything. `check_image` follows where the
image is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deploy.config.endpoint import Autoscaling, Schedule
from deploy.endpoints.alarm import alarms
from deploy.endpoints.model import environment
from deploy.endpoints.spec import EndpointSpec
from deploy.errors import DeployError
from deploy.images import cuda
from deploy.images.facts import ImageFacts

BURSTABLE = re.compile(r"ml\.t\d")
SCHEDULES = (
    re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"),
    re.compile(r"rate\([1-9]\d* (minute|hour|day)s?\)"),
    re.compile(r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)"),
)
MAX_ALARMS = 10  # that one deployment may watch (rule 55)
SERVERLESS_IMAGE_GB = 10  # rule 45
MAX_VARIABLES, VALUE_BYTES, ALL_BYTES = 100, 1024, 32 * 1024  # rule 38


def check(specs: Iterable[EndpointSpec]) -> None:
    """Checks endpoints by their settings alone. Raises DeployError for the first one that cannot work."""
    for spec in specs:
        _check_kind(spec)
        _check_environment(environment(spec), f"{spec.table}.environment")
        check_scaling(spec)
        if spec.is_serverless:
            _check_serverless(spec)
        else:
            _check_instances(spec)
            _check_alarms(spec)


def check_image(spec: EndpointSpec, image: ImageFacts) -> None:
    """Raises DeployError for an image that a serverless endpoint cannot run (rule 45).

    Instances are checked against the image's CUDA where their host image is chosen (cuda.host_image).
    """
    if not spec.is_serverless:
        return
    if image.size_bytes > SERVERLESS_IMAGE_GB * 10**9:
        raise DeployError(
            f"{spec.table}: the image has {image.size_bytes / 10**9:.1f} GB, and a serverless endpoint takes at most "
            f"{SERVERLESS_IMAGE_GB} GB"
        )
    if image.cuda:
        raise DeployError(_no_gpu(spec))


def check_scaling(spec: EndpointSpec) -> None:
    """Raises DeployError for autoscaling that AWS would refuse, or accept and never scale by (rules 48-50)."""
    scaling, where = spec.section.autoscaling, f"{spec.table}.autoscaling"
    if not scaling.is_on:
        return
    _check_metric(spec, where)
    for name, variant in spec.section.all_variants.items():
        if BURSTABLE.match(str(variant.instance_type)):
            raise DeployError(
                f"{where}: variant {name} runs on {variant.instance_type}, a burstable type, which cannot scale; "
                "choose another instance_type, such as ml.m5.large, or leave max out"
            )
        if not scaling.min <= (variant.instance_count or 0) <= scaling.max:
            raise DeployError(
                f"{where}: variant {name} starts with {variant.instance_count} instances, outside "
                f"{scaling.min} to {scaling.max}; change instance_count, min or max"
            )
    for name, schedule in scaling.schedules.items():
        _check_schedule(schedule, scaling, f"{where}.schedules.{name}", least=0 if spec.is_async else 1)


def _check_kind(spec: EndpointSpec) -> None:
    if spec.is_main and spec.is_async:
        raise DeployError(
            "endpoint.kind: the Lambda function waits for this endpoint's answer, and an async endpoint answers "
            "later; configure the async endpoint in a table of its own, [endpoints.NAME]"
        )


def _check_metric(spec: EndpointSpec, where: str) -> None:
    scaling, kind = spec.section.autoscaling, spec.section.kind
    if kind == "serverless":
        raise DeployError(
            f"{where}: AWS scales a serverless endpoint, up to max_concurrency ({spec.section.max_concurrency}); "
            "leave max out; provisioned_concurrency keeps capacity warm"
        )
    if kind == "async" and scaling.metric != "backlog":
        raise DeployError(
            f"{where}.metric: an async endpoint publishes no {scaling.metric}; use backlog, the number of requests "
            "that wait for each instance"
        )
    if kind == "real-time" and scaling.metric == "backlog":
        raise DeployError(
            f'{where}.metric: only an async endpoint (kind = "async") has a backlog; use invocations or concurrency'
        )
    if kind == "real-time" and scaling.min < 1:
        raise DeployError(
            f'{where}.min: a real-time endpoint keeps at least 1 instance; kind = "async" can go to 0, and '
            'kind = "serverless" costs nothing while idle'
        )


def _check_schedule(schedule: Schedule, scaling: Autoscaling, where: str, *, least: int) -> None:
    if not any(pattern.fullmatch(schedule.at) for pattern in SCHEDULES):
        raise DeployError(
            f"{where}.at: {schedule.at} is not a schedule; write at(2026-01-31T08:00:00), rate(12 hours) or "
            "cron(minutes hours day-of-month month day-of-week year), in UTC"
        )
    if schedule.min is None and schedule.max is None:
        raise DeployError(f"{where}: changes nothing; set min, max or both")
    low = scaling.min if schedule.min is None else schedule.min
    high = scaling.max if schedule.max is None else schedule.max
    if low > high:
        raise DeployError(f"{where}.min: {low} is more than max, {high}")
    if low < least:
        raise DeployError(f"{where}.min: a real-time endpoint keeps at least {least} instance")


def _check_instances(spec: EndpointSpec) -> None:
    for key, variant in spec.section.all_variants.items():
        instance_type, where = str(variant.instance_type), spec.table_of(key)
        cuda.check_architecture(instance_type, where=where)
        cuda.host_image(instance_type, cuda="", chosen=spec.section.inference_ami, where=where)


def _check_alarms(spec: EndpointSpec) -> None:
    count = len(alarms(spec))
    if count > MAX_ALARMS:
        raise DeployError(
            f"{spec.table}.rollout: {len(spec.section.variants)} variants need {count} alarms, and AWS lets a "
            f"deployment watch {MAX_ALARMS}; leave max_error_percent or max_latency_ms out"
        )


def _check_serverless(spec: EndpointSpec) -> None:
    """A serverless endpoint has no GPU and no deployment guardrails (rules 45, 57)."""
    rollout = spec.section.rollout
    if spec.section.inference_ami:
        raise DeployError(_no_gpu(spec))
    if rollout.how != "all-at-once" or rollout.keep_old_seconds or rollout.max_error_percent or rollout.max_latency_ms:
        raise DeployError(
            f"{spec.table}.rollout: a serverless endpoint moves all at once and without alarms (SageMaker has no "
            'deployment guardrails for it); leave out all keys but golden, or choose kind = "real-time"'
        )


def _no_gpu(spec: EndpointSpec) -> str:
    return f'{spec.table}: serverless endpoints have no GPU; choose kind = "real-time"'


def _check_environment(variables: Mapping[str, str], where: str) -> None:
    for key, value in variables.items():
        if max(len(key.encode()), len(value.encode())) > VALUE_BYTES:
            raise DeployError(f"{where}.{key}: the name and the value of a variable take at most {VALUE_BYTES} bytes")
    size = sum(len(f"{key}{value}".encode()) for key, value in variables.items())
    if len(variables) > MAX_VARIABLES or size > ALL_BYTES:
        raise DeployError(f"{where}: at most {MAX_VARIABLES} variables, together at most {ALL_BYTES // 1024} KB")
