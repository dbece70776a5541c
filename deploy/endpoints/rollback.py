"""Rollback: moves an endpoint back to a configuration that it ran before (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.config.endpoint import Rollout
from deploy.endpoints.endpoint import address_of, in_service, stay, update
from deploy.endpoints.endpoint_config import key_of, named
from deploy.endpoints.history import history, previous
from deploy.endpoints.rollout import deployment
from deploy.endpoints.spec import EndpointSpec
from deploy.errors import DeployError
from deploy.planning.resource import require_ours
from deploy.values import Change, State, Step

PATIENCE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """The configuration that a rollback returns to, and whether the endpoint runs it already."""

    config: str
    is_there: bool


def target(spec: EndpointSpec, observed: State, *, to: str = "") -> Target:
    """The configuration before the last deploy's, or the one of the endpoint's history that `to` names (key or name).

    The answer is the same when asked twice, so an interrupted rollback can be repeated. Raises DeployError when there
    is none.
    """
    name, past, running = spec.name, history(observed.tags), str(observed.fields["config"])
    if to and key_of(to) not in past:
        raise DeployError(f"{name}: was never at {to}; --to takes one of {', '.join(past) or 'nothing: no history'}")
    key = key_of(to) if to else previous(past)
    if not key:
        raise DeployError(f"{name}: there is no earlier version to roll back to: it was deployed only once")
    config = named(name, key)
    return Target(config=config, is_there=config == running and observed.status == "InService")


def step(
    spec: EndpointSpec, observed: State, config: str, *, serves: Mapping[str, Mapping[str, Any]], reason: str
) -> Step:
    """The update that moves an endpoint to `config`, all at once. `serves` describes that configuration; it is empty
    when the configuration no longer exists. Raises DeployError."""
    address = address_of(spec.name)
    require_ours(address, observed, spec.tags)
    if not serves:
        raise DeployError(f"{spec.name}: the configuration {config} no longer exists; ./inv deploy deploys deploy.toml")
    is_serverless = any("ServerlessConfig" in variant for variant in serves.values())  # of that time, not of now
    guard = {} if is_serverless else deployment(Rollout(), ())
    before = observed.fields.get("shares", {})
    capacity = "stays" if stay(before, serves) else "begins anew"
    change = update(spec.name, config, guard, before=before, after=serves, is_serverless=is_serverless)
    return Step(
        action="update",
        address=address,
        reason=reason,
        acts=(change, in_service(spec.name, config, patience_s=PATIENCE_S)),
        changes=(Change(field="config", before=observed.fields["config"], after=config),),
        touches=f"all traffic moves at once when its instances are healthy; the capacity {capacity}",
    )
