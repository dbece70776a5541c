"""Which resources should be, in the order in which they are made: what is used comes before what uses it."""

from __future__ import annotations

from deploy.resources.base import Resource
from deploy.resources.bucket import bucket
from deploy.resources.endpoint import endpoint
from deploy.resources.function import function
from deploy.resources.role import endpoint_role, function_role, training_role
from deploy.settings import Settings


def foundation(settings: Settings) -> tuple[Resource, ...]:
    """What data and training need: the bucket and the roles."""
    return (bucket(settings), training_role(settings), endpoint_role(settings), function_role(settings))


def serving(settings: Settings, *, serve_image: str, lambda_image: str, artifact: str) -> tuple[Resource, ...]:
    """What answers: model, endpoint configuration, endpoint, function. Images are URIs as AWS is told them."""
    return (*endpoint(settings, image=serve_image, artifact=artifact), function(settings, image=lambda_image))
