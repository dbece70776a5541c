"""The desired resources of a stage, in the order of creation: a resource comes after the ones that it uses."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.config.settings import Settings
from deploy.endpoints.resources import Serving, endpoint
from deploy.function.alias import alias
from deploy.function.concurrency import concurrency
from deploy.function.function import function
from deploy.function.function_url import function_url
from deploy.function.scaling import function_targets
from deploy.iam.deployer_role import deployer_role
from deploy.iam.role import endpoint_role, function_role, training_role
from deploy.planning.resource import Resource
from deploy.storage.bucket import bucket
from deploy.storage.log_group import endpoint_group, function_group


def foundation(settings: Settings) -> tuple[Resource, ...]:
    """The bucket and the roles, which pushing data and training need."""
    roles = (training_role(settings), endpoint_role(settings), function_role(settings), *deployer_role(settings))
    return (bucket(settings), *roles)


def serving(settings: Settings, *, endpoints: Sequence[Serving], lambda_image: str) -> tuple[Resource, ...]:
    """The endpoints with their models, alarms, configurations and scaling; and the function, if the main endpoint is
    among them. Images are URIs for AWS to pull. Raises DeployError for settings that cannot work.
    """
    made: list[Resource] = [endpoint_group(settings, each.spec.name) for each in endpoints]
    made += [resource for each in endpoints for resource in endpoint(each)]
    if any(each.spec.is_main for each in endpoints):
        made += function_resources(settings, image=lambda_image)
    return tuple({each.address: each for each in made}.values())  # two endpoints may share a model


def function_resources(settings: Settings, *, image: str) -> tuple[Resource, ...]:
    """The function in front of the main endpoint, with its logs, alias, concurrency, scaling and URL. The alias moves
    before the concurrency changes, because Lambda refuses to change the concurrency of an alias that it is moving."""
    return (
        function_group(settings),
        function(settings, image=image),
        alias(settings, image=image),
        concurrency(settings),
        *function_targets(settings),
        function_url(settings),
    )
