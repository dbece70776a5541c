"""The facts of one failing job, endpoint or function. The rules read these values and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from deploy.costs.quotas import Row
from deploy.images import checks

FactKind = Literal["training job", "endpoint", "function", "transform job", "tuning job", "instance", "unknown name"]
WELL: Mapping[FactKind, tuple[str, ...]] = {
    "training job": ("Completed",),
    "endpoint": ("InService",),
    "function": ("Active",),
    "transform job": ("Completed",),
    "tuning job": ("Completed",),
    "instance": ("running", "terminated"),
    "unknown name": (),
}
BUSY = ("Creating", "Updating", "InProgress", "Pending", "RollingBack", "SystemUpdating", "Stopping", "pending")


@dataclass(frozen=True, kw_only=True)
class ObservedImage:
    """An image. `facts` is None when no registry or engine holds it; `cuda` is its label, "" without CUDA."""

    uri: str
    consumer: checks.Consumer
    facts: checks.Facts | None
    cuda: str = ""


@dataclass(frozen=True, kw_only=True)
class ObservedRole:
    """A role, the service that must assume it, the services that its trust policy allows, and its age in seconds."""

    name: str
    service: str
    exists: bool
    trusted: tuple[str, ...] = ()
    age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ObservedVariant:
    """A variant of an endpoint: its instances now, those that its configuration starts with, and the count that scaling
    set last and when (0 and None: never). `artifact` is what it serves, `newest` what deploy.toml asks for now."""

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
class ProvisionedConcurrency:
    """Provisioned concurrency of an alias or a version (`qualifier`). `reason` is AWS's own."""

    qualifier: str
    requested: int
    available: int
    status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ObservedFunction:
    """A function's versions and concurrency. `aliases`: name → version; `moving`: aliases that split their traffic
    between two versions; `reserved`: None where the function shares the account's concurrency."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    reserved: int | None = None
    provisioned: tuple[ProvisionedConcurrency, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One job, endpoint, function or instance. `details` are shown as they stand; its status changed `since_s` seconds
    ago; `unreadable` lists what could not be read, with the reason."""

    kind: FactKind
    name: str
    status: str = ""
    reason: str = ""
    changed: datetime | None = None
    since_s: float = 0.0
    details: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    images: tuple[ObservedImage, ...] = ()
    roles: tuple[ObservedRole, ...] = ()
    variants: tuple[ObservedVariant, ...] = ()
    function: ObservedFunction | None = None
    quotas: tuple[Row, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        return self.status in WELL[self.kind]

    @property
    def is_busy(self) -> bool:
        return self.status in BUSY

    @property
    def text(self) -> str:
        """AWS's reason and the log's last lines, for a search."""
        return "\n".join([self.reason, *self.lines])
