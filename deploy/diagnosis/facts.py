"""What is known of one ailing thing, as values: rules look at these and at nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from deploy.costs.quotas import Row
from deploy.images import checks as gate

FactKind = Literal[
    "training job", "endpoint", "function", "transform job", "tuning job", "instance", "nothing of that name"
]
WELL: Mapping[FactKind, tuple[str, ...]] = {
    "training job": ("Completed",),
    "endpoint": ("InService",),
    "function": ("Active",),
    "transform job": ("Completed",),
    "tuning job": ("Completed",),
    "instance": ("running", "terminated"),
    "nothing of that name": (),
}
BUSY = ("Creating", "Updating", "InProgress", "Pending", "RollingBack", "SystemUpdating", "Stopping", "pending")


@dataclass(frozen=True, kw_only=True)
class ImageSeen:
    """An image that was looked at. `gate` is None for one that is nowhere; `cuda` is its label, "" without."""

    uri: str
    consumer: gate.Consumer
    gate: gate.Facts | None
    cuda: str = ""


@dataclass(frozen=True, kw_only=True)
class RoleSeen:
    """A role: whether it is there, which services may take it, which one needs to; seconds since it was made."""

    name: str
    service: str
    exists: bool
    takers: tuple[str, ...] = ()
    age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class VariantSeen:
    """An endpoint's variant: instances now, those that its configuration starts with, and what scaling asked for last
    and when (0 and None: never)."""

    name: str
    instance_type: str = ""
    host_image: str = ""
    now: int = 0
    initial: int = 0
    scaled: int = 0
    scaled_at: datetime | None = None
    artifact: str = ""
    newest: str = ""
    newest_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class WarmSeen:
    """Provisioned concurrency: of which alias or version, asked for, there, its status and AWS's reason."""

    qualifier: str
    asked: int
    there: int
    status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class FunctionSeen:
    """What of a function decides about its concurrency. `aliases`: name → version; `moving`: aliases that share their
    traffic between two versions; `reserved` None shares the account's."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    reserved: int | None = None
    warm: tuple[WarmSeen, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One thing. `told` is shown as it stands; `since_s` are seconds since its status last changed; `blind` lists what
    could not be looked at."""

    kind: FactKind
    name: str
    status: str = ""
    reason: str = ""
    changed: datetime | None = None
    since_s: float = 0.0
    told: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    images: tuple[ImageSeen, ...] = ()
    roles: tuple[RoleSeen, ...] = ()
    variants: tuple[VariantSeen, ...] = ()
    function: FunctionSeen | None = None
    quotas: tuple[Row, ...] = ()
    blind: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        return self.status in WELL[self.kind]

    @property
    def is_busy(self) -> bool:
        return self.status in BUSY

    @property
    def said(self) -> str:
        """AWS's reason and the log's last lines, to be searched."""
        return "\n".join([self.reason, *self.lines])
