"""What is the stage's and should not be any more: endpoints that left deploy.toml, configurations, models and alarms
that nothing will go back to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from deploy.autoscaling.variants import describe_config
from deploy.config.settings import Settings
from deploy.endpoints.endpoint_config import ENDPOINT_TAG, named
from deploy.endpoints.history import history
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME, KINDS
from deploy.values import Call, State, Step

# In the order in which they go. The scaling of an endpoint that goes is deregistered before it (rule 54).
LOOKED_AT = ("scalable-target", "endpoint", "endpoint-config", "model", "alarm")


@dataclass(frozen=True, kw_only=True)
class Obsolete:
    """A resource that should not be: the plan deletes it. `state` is what was seen when it was found."""

    address: str
    reason: str
    step: Step
    state: State

    def read(self, _: Call) -> State | None:
        return self.state

    def plan(self, _: State | None) -> Step:
        return replace(self.step, reason=self.reason)


def obsolete(settings: Settings, call: Call, wanted: Collection[str]) -> tuple[Obsolete, ...]:
    """Looks for what is ours and not `wanted` (addresses), and that rollback does not need."""
    kinds = [kind for kind in KINDS if kind.name in LOOKED_AT]
    found = inventory(settings, call, kinds)
    kept = {*wanted, *kept_configs(settings, found)}
    names = [address.partition("/")[2] for address in kept if address.startswith("endpoint-config/")]
    kept |= {f"model/{model}" for name in names for model in models_of(name, call)}
    gone = doomed(settings, found, kept)
    order = sorted(gone, key=lambda address: LOOKED_AT.index(address.partition("/")[0]))
    return tuple(_obsolete(settings, address, gone[address], found[address]) for address in order)


def kept_configs(settings: Settings, found: Mapping[str, State]) -> set[str]:
    """The configurations that an endpoint of deploy.toml was lately at, by its history."""
    kept = set()
    for name in settings.all_endpoints:
        observed = found.get(f"endpoint/{name}")
        kept |= {f"endpoint-config/{named(name, key)}" for key in (history(observed.tags) if observed else ())}
    return kept


def doomed(settings: Settings, found: Mapping[str, State], kept: Collection[str]) -> dict[str, str]:
    """What goes, by address, with the reason (pure). What other verbs made in their own way is not judged."""
    gone = {}
    for address, state in found.items():
        kind, _, name = address.partition("/")
        if kind == "endpoint" and name not in settings.all_endpoints:
            gone[address] = "is not in deploy.toml any more"
        elif kind == "scalable-target" and _scaled(name) not in (*settings.all_endpoints, ""):
            gone[address] = "its endpoint goes"
        elif kind == "alarm" and address not in kept and name.endswith(("-errors", "-latency")):
            gone[address] = "no rollout asks for it any more"
        elif kind == "endpoint-config" and address not in kept and ENDPOINT_TAG in state.tags:
            is_used = state.tags[ENDPOINT_TAG] in settings.all_endpoints
            gone[address] = "too old to go back to" if is_used else "its endpoint goes"
        elif kind == "model" and address not in kept:
            gone[address] = "no configuration that is kept serves it"
    return gone


def models_of(config: str, call: Call) -> Iterable[str]:
    answer = describe_config(config, call) or {}
    return [variant["ModelName"] for variant in answer.get("ProductionVariants", ())]


def _scaled(name: str) -> str:
    """The endpoint of a scalable target called endpoint/E/variant/V; "" for a target of another service."""
    parts = name.split("/")
    return parts[1] if len(parts) > 3 and parts[0] == "endpoint" else ""


def _obsolete(settings: Settings, address: str, reason: str, state: State) -> Obsolete:
    kind, _, name = address.partition("/")
    return Obsolete(address=address, reason=reason, step=BY_NAME[kind].remove(name, settings), state=state)
