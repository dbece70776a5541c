"""From settings and a snapshot to a Plan: pure, so a dry run and a real one share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deploy.models import Plan, Snapshot, State, Step
from deploy.resources.base import Resource
from deploy.resources.bucket import Bucket
from deploy.resources.endpoint import Endpoint, EndpointConfig, Model, endpoint
from deploy.resources.function import Function, function
from deploy.resources.role import Role, endpoint_role, function_role, training_role
from deploy.settings import Settings


def foundation(settings: Settings) -> tuple[Resource, ...]:
    """What data and training need: the bucket and the roles."""
    return (
        Bucket(
            name=settings.bucket,
            region=settings.stage.region,
            tags=settings.tags,
            tls_only=not settings.stage.endpoint_url.startswith("http://"),
        ),
        training_role(settings),
        endpoint_role(settings),
        function_role(settings),
    )


def serving(settings: Settings, *, serve_image: str, lambda_image: str, artifact: str) -> tuple[Resource, ...]:
    """What answers: model, endpoint configuration, endpoint, function. Images are URIs as AWS is told them."""
    return (*endpoint(settings, image=serve_image, artifact=artifact), function(settings, image=lambda_image))


def plan(resources: Sequence[Resource], snapshot: Snapshot) -> Plan:
    """One step for each resource, in their order (what is used comes before what uses it).

    Raises DeployError when something of that name exists and is not ours.
    """
    steps = tuple(resource.plan(snapshot.get(resource.address)) for resource in resources)
    return Plan(steps=steps, known=_known(snapshot))


def teardown(settings: Settings, found: Mapping[str, State]) -> Plan:
    """Deletes all of an inventory, users before what they use."""
    return Plan(steps=tuple(_removal(settings, address) for address in found))


def summary(steps: Iterable[Step]) -> str:
    """ "2 to create, 1 to update", or that there is nothing to do."""
    counts: dict[str, int] = {}
    for step in steps:
        if step.action != "none":
            counts[step.action] = counts.get(step.action, 0) + 1
    return ", ".join(f"{count} to {action}" for action, count in counts.items()) or "nothing to do"


def _known(snapshot: Snapshot) -> dict[str, Mapping[str, str]]:
    return {address: state.attributes for address, state in snapshot.items() if state is not None}


def _removal(settings: Settings, address: str) -> Step:
    kind, _, name = address.partition("/")
    tags = settings.tags
    if kind == "bucket":
        return Bucket(name=name, region=settings.stage.region, tags=tags).remove()
    if kind == "role":
        return Role(name=name, trust={}, policy={}, tags=tags).remove()
    if kind == "endpoint":
        return Endpoint(name=name, config="", tags=tags).remove()
    if kind == "endpoint-config":
        return EndpointConfig(name=name, variants=(), tags=tags).remove()
    if kind == "model":
        stub = endpoint(settings, image="", artifact="")[0]
        return Model(**{**vars(stub), "name": name}).remove()
    stub_function = function(settings, image="")
    return Function(**{**vars(stub_function), "name": name}).remove()
