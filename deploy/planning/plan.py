"""Makes a Plan from desired resources and a snapshot. Pure, so that a dry run and a real run share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deploy.config.settings import Settings
from deploy.planning.resource import Resource, ResourceKind
from deploy.values import Plan, Snapshot, State, Step


def plan(resources: Sequence[Resource], snapshot: Snapshot) -> Plan:
    """One step for each resource, in the given order (a resource comes after the ones that it uses).

    Raises DeployError when a resource of that name exists and is not ours.
    """
    steps = tuple(resource.plan(snapshot.get(resource.address)) for resource in resources)
    return Plan(steps=steps, known=_known(snapshot))


def teardown(settings: Settings, inventory: Mapping[str, State], kinds: Mapping[str, ResourceKind]) -> Plan:
    """Deletes everything in an inventory, in its order (a resource goes before the ones that it uses)."""
    return Plan(steps=tuple(_removal(settings, address, kinds) for address in inventory))


def summary(steps: Iterable[Step]) -> str:
    """ "2 to create, 1 to update", or "nothing to do"."""
    counts: dict[str, int] = {}
    for step in steps:
        if step.action != "none":
            counts[step.action] = counts.get(step.action, 0) + 1
    return ", ".join(f"{count} to {action}" for action, count in counts.items()) or "nothing to do"


def _known(snapshot: Snapshot) -> dict[str, Mapping[str, str]]:
    return {address: state.attributes for address, state in snapshot.items() if state is not None}


def _removal(settings: Settings, address: str, kinds: Mapping[str, ResourceKind]) -> Step:
    kind, _, name = address.partition("/")
    return kinds[kind].remove(name, settings)
