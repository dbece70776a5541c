"""The stage's resources that are no longer desired: endpoints that left deploy.toml, and configurations, models and
alarms that no rollback needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from deploy.autoscaling.variants import describe_config
from deploy.config.settings import Settings
from deploy.endpoints.endpoint_config import ENDPOINT_TAG, named
from deploy.endpoints.history import history
from deploy.stage.inventory import Say, inventory
from deploy.stage.kinds import BY_NAME, KINDS
from deploy.values import Call, State, Step

# In the order of deletion: the scaling of an endpoint is deregistered before the endpoint goes (rule 54).
JUDGED = ("scalable-target", "endpoint", "endpoint-config", "model", "alarm")


@dataclass(frozen=True, kw_only=True)
class Obsolete:
    """A resource that the plan deletes. `state` was observed when the inventory was taken."""

    address: str
    reason: str
    step: Step
    state: State

    def read(self, _: Call) -> State | None:
        return self.state

    def plan(self, _: State | None) -> Step:
        return replace(self.step, reason=self.reason)


def obsolete(settings: Settings, call: Call, desired: Collection[str], *, say: Say) -> tuple[Obsolete, ...]:
    """Finds the resources that are ours, not `desired` (addresses), and not needed for a rollback. `say` as in
    `inventory`."""
    kinds = [kind for kind in KINDS if kind.name in JUDGED]
    ours = inventory(settings, call, kinds, say=say)
    kept = {*desired, *kept_configs(settings, ours)}
    names = [address.partition("/")[2] for address in kept if address.startswith("endpoint-config/")]
    kept |= {f"model/{model}" for name in names for model in models_of(name, call)}
    reasons = obsolete_reasons(settings, ours, kept)
    order = sorted(reasons, key=lambda address: JUDGED.index(address.partition("/")[0]))
    return tuple(_obsolete(settings, address, reasons[address], ours[address]) for address in order)


def kept_configs(settings: Settings, ours: Mapping[str, State]) -> set[str]:
    """The recent configurations of the endpoints in deploy.toml, from their history."""
    kept = set()
    for name in settings.all_endpoints:
        observed = ours.get(f"endpoint/{name}")
        kept |= {f"endpoint-config/{named(name, key)}" for key in (history(observed.tags) if observed else ())}
    return kept


def obsolete_reasons(settings: Settings, ours: Mapping[str, State], kept: Collection[str]) -> dict[str, str]:
    """Why each obsolete resource goes, by address (pure). Resources that other commands manage are not judged."""
    gone = {}
    for address, state in ours.items():
        kind, _, name = address.partition("/")
        if kind == "endpoint" and name not in settings.all_endpoints:
            gone[address] = "is no longer in deploy.toml"
        elif kind == "scalable-target" and _scaled(name) not in (*settings.all_endpoints, ""):
            gone[address] = "its endpoint is deleted"
        elif kind == "alarm" and address not in kept and name.endswith(("-errors", "-latency")):
            gone[address] = "no rollout uses it any more"
        elif kind == "endpoint-config" and address not in kept and ENDPOINT_TAG in state.tags:
            has_endpoint = state.tags[ENDPOINT_TAG] in settings.all_endpoints
            gone[address] = "too old to roll back to" if has_endpoint else "its endpoint is deleted"
        elif kind == "model" and address not in kept:
            gone[address] = "no configuration that is kept uses it"
    return gone


def models_of(config: str, call: Call) -> Iterable[str]:
    answer = describe_config(config, call) or {}
    return [variant["ModelName"] for variant in answer.get("ProductionVariants", ())]


def _scaled(name: str) -> str:
    """The endpoint of the scalable target endpoint/E/variant/V; "" for a target of another service."""
    parts = name.split("/")
    return parts[1] if len(parts) > 3 and parts[0] == "endpoint" else ""


def _obsolete(settings: Settings, address: str, reason: str, state: State) -> Obsolete:
    kind, _, name = address.partition("/")
    return Obsolete(address=address, reason=reason, step=BY_NAME[kind].remove(name, settings), state=state)
