"""Traffic: the instance that answers a request, the shares after an update, the steps of a shift. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Share:
    """A variant's desired traffic weight and instance count."""

    weight: float
    count: int


def choose_instance(outstanding: Sequence[int], turn: int) -> int:
    """Return the index of the instance with the fewest outstanding requests; instances with equally few take turns.

    Raises ValueError when there is none.
    """
    if not outstanding:
        raise ValueError("no instance is in service")
    least = min(outstanding)
    idle = [index for index, count in enumerate(outstanding) if count == least]
    return idle[turn % len(idle)]


def initial_share(variant: Mapping[str, Any]) -> Share:
    """Return the share in a production variant of an endpoint configuration; a serverless variant is one container."""
    serverless = "ServerlessConfig" in variant
    return Share(
        weight=float(variant.get("InitialVariantWeight", 1.0)),
        count=1 if serverless else int(variant.get("InitialInstanceCount", 1)),
    )


def updated_shares(
    variants: Sequence[Mapping[str, Any]],
    current: Mapping[str, Share],
    *,
    retain: bool,
    exclude: Sequence[str] = (),
) -> dict[str, Share]:
    """Return each variant's share after UpdateEndpoint (rule 53).

    Without RetainAllVariantProperties a scaled-out variant falls back to InitialInstanceCount; with it the
    running counts and weights of variants that stay are kept, except the excluded property types.
    """
    shares = {}
    for variant in variants:
        name, share = variant["VariantName"], initial_share(variant)
        kept = current.get(name) if retain else None
        if kept is not None:
            share = Share(
                weight=share.weight if "DesiredWeight" in exclude else kept.weight,
                count=share.count if "DesiredInstanceCount" in exclude else kept.count,
            )
        shares[name] = share
    return shares


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a blue/green update: send this share of traffic to the new fleet, and wait so many seconds."""

    green: float
    wait: float


def traffic_steps(deployment: Mapping[str, Any], instances: int) -> list[Step]:
    """Return the traffic shifts of a DeploymentConfig; the last one moves all traffic to the new fleet (rules 55, 56).

    `instances` is the size of the new fleet, to convert INSTANCE_COUNT into a share.
    """
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    wait, kind = float(routing.get("WaitIntervalInSeconds", 0)), routing.get("Type", "ALL_AT_ONCE")
    if kind == "CANARY":
        return [Step(green=_share(routing["CanarySize"], instances), wait=wait), Step(green=1.0, wait=wait)]
    if kind == "LINEAR":
        size = _share(routing["LinearStepSize"], instances)
        count = max(1, -(-1_000_000 // max(1, round(size * 1_000_000))))
        return [Step(green=min(1.0, size * (index + 1)), wait=wait) for index in range(count)]
    return [Step(green=1.0, wait=wait)]


def _share(size: Mapping[str, Any], instances: int) -> float:
    """Turn a CapacitySize into a share of the new fleet, at most the whole of it."""
    value = float(size["Value"])
    return min(1.0, value / 100 if size["Type"] == "CAPACITY_PERCENT" else value / max(1, instances))
