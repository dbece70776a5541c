"""Every scalable target of a stage: of its endpoints and of its function."""

from __future__ import annotations

from deploy.autoscaling.scalable_target import ScalableTarget
from deploy.config.settings import Settings
from deploy.endpoints.scaling import scalable_targets
from deploy.function.scaling import function_targets


def all_targets(settings: Settings) -> tuple[ScalableTarget, ...]:
    """The targets of all endpoints, then those of the function."""
    endpoints = (each for name in settings.all_endpoints for each in scalable_targets(settings, name))
    return (*endpoints, *function_targets(settings))
