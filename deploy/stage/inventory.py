"""The inventory of a stage: every resource on AWS that carries the stage's tags."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, is_ours
from deploy.stage.kinds import KINDS
from deploy.values import Call, State


def inventory(settings: Settings, call: Call, kinds: Iterable[ResourceKind] = KINDS) -> dict[str, State]:
    """Every resource that carries the stage's tags, by address, in the order in which they may be deleted."""
    ours: dict[str, State] = {}
    for kind in kinds:
        for name in kind.names(settings, call):
            tags = kind.tags(name, settings, call)
            if is_ours(tags, settings.tags):
                ours[f"{kind.name}/{name}"] = State(tags=tags)
    return ours
