"""Every scalable target of a stage: of its endpoints and of its function."""

from __future__ import annotations

from deploy.autoscaling.scalable_target import ScalableTarget
from deploy.config.settings import Settings
from deploy.endpoints.scaling import scalable_targets
from deploy.endpoints.spec import endpoint_specs
from deploy.function.scaling import function_targets


def all_targets(settings: Settings) -> tuple[ScalableTarget, ...]:
    """The targets of all endpoints, then those of the function."""
    endpoints = (target for spec in endpoint_specs(settings) for target in scalable_targets(spec))
    return (*endpoints, *function_targets(settings))
