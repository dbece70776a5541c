"""The scaling of an endpoint's variants: [endpoint.autoscaling] as scalable targets and policies (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.autoscaling.scalable_target import Bounds, ScalableTarget
from deploy.autoscaling.variants import form
from deploy.config.endpoint import Autoscaling
from deploy.endpoints.endpoint import describe
from deploy.endpoints.scaling_release import Release
from deploy.endpoints.spec import EndpointSpec
from deploy.values import Wait

PREDEFINED = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}


def release(spec: EndpointSpec) -> Release:
    """The targets to deregister before the endpoint is updated."""
    scales = spec.section.autoscaling.is_on
    return Release(endpoint=spec.name, forms=forms(spec), scales=scales, tags=spec.tags)


def scalable_targets(spec: EndpointSpec) -> tuple[ScalableTarget, ...]:
    """One target for each variant; none where the endpoint does not scale."""
    scaling = spec.section.autoscaling
    if not scaling.is_on:
        return ()
    schedules = {key: Bounds(at=each.at, least=each.min, most=each.max) for key, each in scaling.schedules.items()}
    return tuple(
        ScalableTarget(
            resource=resource,
            least=scaling.min,
            most=scaling.max,
            tracking=tracking(scaling, spec.name),
            schedules=schedules,
            form=variant_form,
            from_zero=spec.is_async and _least(scaling) == 0,
            ready=(_in_service(spec.name),),
            tags=spec.tags,
        )
        for resource, variant_form in forms(spec).items()
    )


def forms(spec: EndpointSpec) -> dict[str, str]:
    """What each variant should run as ("real-time ml.m5.large"), by ResourceId (rule 47)."""
    return {
        f"endpoint/{spec.name}/variant/{key}": form(
            spec.section.kind, "" if spec.is_serverless else str(variant.instance_type)
        )
        for key, variant in spec.section.all_variants.items()
    }


def tracking(scaling: Autoscaling, endpoint: str) -> Mapping[str, Any]:
    """The TargetTrackingScalingPolicyConfiguration. A backlog belongs to the endpoint, not to a variant (rule 48)."""
    if scaling.metric == "backlog":
        metric: dict[str, Any] = {
            "CustomizedMetricSpecification": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
                "Statistic": "Average",
            }
        }
    else:
        metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": PREDEFINED[scaling.metric]}}
    return {
        "TargetValue": scaling.target,
        **metric,
        "ScaleInCooldown": scaling.cooldown_in_seconds,
        "ScaleOutCooldown": scaling.cooldown_out_seconds,
    }


def _least(scaling: Autoscaling) -> int:
    """The smallest minimum that [endpoint.autoscaling] or one of its schedules sets."""
    return min([scaling.min, *(each.min for each in scaling.schedules.values() if each.min is not None)])


def _in_service(name: str) -> Wait:
    """AWS refuses to register targets of an endpoint while it is updated (rule 53)."""
    return Wait(
        request=describe(name), path="EndpointStatus", until="InService", failed=("Failed", "UpdateRollbackFailed"),
        reason="FailureReason", fix="./inv deploy creates the endpoint anew; ./inv logs shows why it failed",
    )  # fmt: skip
