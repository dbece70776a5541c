"""Moving an endpoint back to a configuration that it was at before (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.config.endpoint import Rollout
from deploy.endpoints.endpoint import in_service, update
from deploy.endpoints.endpoint_config import key_of, named
from deploy.endpoints.history import history, previous
from deploy.endpoints.rollout import deployment
from deploy.errors import DeployError
from deploy.planning.resource import require_ours
from deploy.values import Change, State, Step

PATIENCE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Back:
    """Where an endpoint goes back to: the configuration's name, and whether the endpoint is there already."""

    config: str
    is_there: bool


def target(name: str, seen: State, *, to: str = "") -> Back:
    """What ran before the last deploy, or the configuration `to` of the endpoint's history (its key, or its name).

    Asked twice it gives the same, so a rollback that was cut off can be repeated. Raises DeployError for none.
    """
    past, running = history(seen.tags), str(seen.fields["config"])
    if to and key_of(to) not in past:
        raise DeployError(f"{name}: was never at {to}; it can go back to {', '.join(past) or 'nothing'}")
    key = key_of(to) if to else previous(past)
    if not key:
        raise DeployError(f"{name}: there is nothing to go back to: it was deployed once only")
    config = named(name, key)
    return Back(config=config, is_there=config == running and seen.status == "InService")


def step(name: str, seen: State, config: str, *, serves: Mapping[str, Mapping[str, Any]], tags: Mapping[str, str],
         why: str, is_serverless: bool = False) -> Step:  # fmt: skip
    """The update that moves an endpoint to `config`, all at once. `serves` is what that configuration serves; empty
    when it is gone. Raises DeployError."""
    address = f"endpoint/{name}"
    require_ours(address, seen, tags)
    if not serves:
        raise DeployError(f"{name}: the configuration {config} is gone; ./inv deploy makes what deploy.toml says")
    guard = {} if is_serverless else deployment(Rollout(), ())
    return Step(
        action="update",
        address=address,
        reason=why,
        acts=(update(name, config, guard), in_service(name, config, patience_s=PATIENCE_S)),
        changes=(Change(field="config", before=seen.fields["config"], after=config),),
        touches="all traffic moves at once when its instances are healthy; the capacity stays",
    )
