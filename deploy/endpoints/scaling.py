"""What scales: [endpoint.autoscaling] and [lambda.autoscaling] as scalable targets; what cannot is refused (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from deploy.autoscaling.scalable_target import Bounds, ScalableTarget
from deploy.autoscaling.variants import form
from deploy.aws.requests import sagemaker
from deploy.config.endpoint import Autoscaling, Endpoint, Schedule
from deploy.config.settings import Settings
from deploy.endpoints.scaling_release import Release
from deploy.errors import DeployError
from deploy.values import Wait

BURSTABLE = re.compile(r"ml\.t\d")
PREDEFINED = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
SCHEDULES = (
    re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)"),
    re.compile(r"rate\([1-9]\d* (minute|hour|day)s?\)"),
    re.compile(r"cron\(\S+ \S+ \S+ \S+ \S+ \S+\)"),
)


def check_endpoint(endpoint: Endpoint, where: str) -> None:
    """Raises DeployError for what AWS would refuse, or take and never scale by (rules 48-50)."""
    wanted = endpoint.autoscaling
    if not wanted.is_on:
        return
    _check_kind(endpoint, where)
    for name, variant in endpoint.all_variants.items():
        if BURSTABLE.match(str(variant.instance_type)):
            raise DeployError(
                f"{where}: variant {name} is on {variant.instance_type}, which is burstable and cannot scale; "
                "choose another instance_type, such as ml.m5.large, or leave max out"
            )
        if not wanted.min <= (variant.instance_count or 0) <= wanted.max:
            raise DeployError(
                f"{where}: variant {name} begins with {variant.instance_count} instances, which is outside "
                f"{wanted.min} to {wanted.max}; change instance_count, min or max"
            )
    for name, schedule in wanted.schedules.items():
        _check_schedule(schedule, wanted, f"{where}.schedules.{name}", least=0 if endpoint.kind == "async" else 1)


def _check_kind(endpoint: Endpoint, where: str) -> None:
    wanted, kind = endpoint.autoscaling, endpoint.kind
    if kind == "serverless":
        raise DeployError(
            f"{where}: a serverless endpoint scales by itself, up to max_concurrency ({endpoint.max_concurrency}); "
            "leave max out, and keep some of it warm with provisioned_concurrency"
        )
    if kind == "async" and wanted.metric != "backlog":
        raise DeployError(
            f"{where}.metric: an async endpoint publishes no {wanted.metric}; use backlog, the requests that wait for "
            "each instance (rule 48)"
        )
    if kind == "real-time" and wanted.metric == "backlog":
        raise DeployError(
            f'{where}.metric: only an async endpoint (kind = "async") has a backlog; use invocations or concurrency'
        )
    if kind == "real-time" and wanted.min < 1:
        raise DeployError(
            f'{where}.min: a real-time endpoint keeps 1 instance at least; kind = "async" may go to 0, and '
            'kind = "serverless" costs nothing while idle (rule 50)'
        )


def _check_schedule(schedule: Schedule, wanted: Autoscaling, where: str, *, least: int) -> None:
    if not any(pattern.fullmatch(schedule.at) for pattern in SCHEDULES):
        raise DeployError(
            f"{where}.at: {schedule.at} is none of at(2026-01-31T08:00:00), rate(12 hours) and "
            "cron(minutes hours day-of-month month day-of-week year), in UTC (rule 49)"
        )
    if schedule.min is None and schedule.max is None:
        raise DeployError(f"{where}: changes nothing; give it min, max or both")
    low = wanted.min if schedule.min is None else schedule.min
    high = wanted.max if schedule.max is None else schedule.max
    if low > high:
        raise DeployError(f"{where}.min: {low} is more than max, {high}")
    if low < least:
        raise DeployError(f"{where}.min: a real-time endpoint keeps {least} instance at least (rule 50)")


def release(settings: Settings, name: str) -> Release:
    """What must be deregistered before this endpoint (by its name in AWS) is updated."""
    endpoint = settings.all_endpoints[name]
    scales = endpoint.autoscaling.is_on
    return Release(endpoint=name, forms=forms(endpoint, name), scales=scales, tags=settings.tags)


def scalable_targets(settings: Settings, name: str) -> tuple[ScalableTarget, ...]:
    """One for each variant of this endpoint (by its name in AWS); none where it does not scale."""
    endpoint = settings.all_endpoints[name]
    wanted = endpoint.autoscaling
    if not wanted.is_on:
        return ()
    return tuple(
        ScalableTarget(
            resource=resource,
            least=wanted.min,
            most=wanted.max,
            tracking=tracking(wanted, name),
            schedules={
                key: Bounds(at=each.at, least=each.min, most=each.max) for key, each in wanted.schedules.items()
            },
            form=what,
            from_zero=endpoint.kind == "async" and _least(wanted) == 0,
            ready=(_in_service(name),),
            tags=settings.tags,
        )
        for resource, what in forms(endpoint, name).items()
    )


def _least(wanted: Autoscaling) -> int:
    """The least that [endpoint.autoscaling] or one of its schedules allows."""
    return min([wanted.min, *(each.min for each in wanted.schedules.values() if each.min is not None)])


def forms(endpoint: Endpoint, name: str) -> dict[str, str]:
    """What each variant should run as, by ResourceId (rule 47)."""
    return {
        f"endpoint/{name}/variant/{key}": form(
            endpoint.kind, "" if endpoint.kind == "serverless" else str(variant.instance_type)
        )
        for key, variant in endpoint.all_variants.items()
    }


def tracking(wanted: Autoscaling, endpoint: str) -> Mapping[str, Any]:
    """The TargetTrackingScalingPolicyConfiguration. A backlog is the endpoint's, not a variant's."""
    if wanted.metric == "backlog":
        metric: dict[str, Any] = {
            "CustomizedMetricSpecification": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
                "Statistic": "Average",
            }
        }
    else:
        metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": PREDEFINED[wanted.metric]}}
    return {
        "TargetValue": wanted.target,
        **metric,
        "ScaleInCooldown": wanted.cooldown_in_seconds,
        "ScaleOutCooldown": wanted.cooldown_out_seconds,
    }


def _in_service(name: str) -> Wait:
    """Scaling is blocked while an endpoint is updated (rule 53)."""
    request = sagemaker("DescribeEndpoint", EndpointName=name)
    return Wait(
        request=request, path="EndpointStatus", until="InService", failed=("Failed", "UpdateRollbackFailed"),
        reason="FailureReason", fix="./inv deploy makes the endpoint; ./inv logs says why it failed",
    )  # fmt: skip
