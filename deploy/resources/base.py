"""What every kind of resource offers, and the tags that make a resource ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from deploy.errors import DeployError
from deploy.models import Act, Call, State, Step


class Resource(Protocol):
    """One thing that should be. `read` looks at it; `plan` compares and says what to do, purely."""

    @property
    def address(self) -> str:
        """kind/name: unique within a stage."""
        ...

    def read(self, call: Call) -> State | None:
        """What is there, or None."""
        ...

    def plan(self, seen: State | None) -> Step:
        """The step from what is there to what should be. Raises DeployError when what is there is not ours."""
        ...


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_of(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(item["Key"]): str(item["Value"]) for item in items}


def is_ours(found: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    return all(found.get(key) == value for key, value in tags.items())


def require_ours(address: str, seen: State, tags: Mapping[str, str]) -> None:
    """Raises DeployError: what is not tagged ours is never changed or deleted."""
    if not is_ours(seen.tags, tags):
        wanted = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
        raise DeployError(
            f"{address}: exists but does not carry the tags {wanted}, so it is not touched; "
            "choose another project.name in deploy.toml, or tag it if it is yours"
        )


def unchanged(address: str) -> Step:
    return Step(action="none", address=address, reason="as it should be")


def delete(address: str, *acts: Act, touches: str = "") -> Step:
    return Step(action="delete", address=address, reason="down", acts=acts, touches=touches)
