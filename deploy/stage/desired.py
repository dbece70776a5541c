"""Which resources should be, in the order in which they are made: what is used comes before what uses it."""

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
    """What data and training need: the bucket and the roles."""
    roles = (training_role(settings), endpoint_role(settings), function_role(settings), *deployer_role(settings))
    return (bucket(settings), *roles)


def serving(settings: Settings, *, endpoints: Sequence[Serving], lambda_image: str) -> tuple[Resource, ...]:
    """What answers: for each endpoint models, alarms, configuration and endpoint; and, once the main one is among them,
    the function. Images are URIs as AWS is told them. Raises DeployError for what cannot work.
    """
    made: list[Resource] = [endpoint_group(settings, each.spec.name) for each in endpoints]
    made += [resource for each in endpoints for resource in endpoint(each)]
    if any(each.spec.is_main for each in endpoints):
        made += front(settings, image=lambda_image)
    return tuple({each.address: each for each in made}.values())  # two endpoints may serve one model


def front(settings: Settings, *, image: str) -> tuple[Resource, ...]:
    """The function in front of the main endpoint, and what hangs on it. Its alias moves before its concurrency changes:
    of an alias that Lambda is still moving no concurrency can be changed."""
    return (
        function_group(settings),
        function(settings, image=image),
        alias(settings, image=image),
        concurrency(settings),
        *function_targets(settings),
        function_url(settings),
    )
