"""[lambda.autoscaling] as a scalable target of the function's alias."""

from __future__ import annotations

from deploy.autoscaling.scalable_target import ScalableTarget
from deploy.config.settings import Settings


def function_targets(settings: Settings) -> tuple[ScalableTarget, ...]:
    """The target of the function's alias; none when its provisioned concurrency does not scale (rule 68)."""
    section = settings.function.autoscaling
    if not section.is_on:
        return ()
    metric = {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}
    return (
        ScalableTarget(
            resource=f"function:{settings.function_name}:{settings.function.alias}",
            least=section.min,
            most=section.max,
            tracking={"TargetValue": section.utilization, "PredefinedMetricSpecification": metric},
            tags=settings.tags,
        ),
    )
