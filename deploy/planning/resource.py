"""What every kind of resource offers, and the tags that make a resource ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy.aws.client import pages
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.values import Act, Call, Request, State, Step


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


@dataclass(frozen=True, kw_only=True)
class ResourceKind:
    """A kind of resource as `down` and `status` meet it: what there is of it, whose it is, and how it goes away.

    `names` lists what may be the stage's, `tags` tells by whom a thing was made, `remove` is the step that takes it
    away.
    With `keep`, `down` leaves it unless its option is given (`--data`, `--images`): it holds what cannot be made again.
    """

    name: str
    names: Callable[[Settings, Call], Iterable[str]]
    tags: Callable[[str, Settings, Call], Mapping[str, str]]
    remove: Callable[[str, Settings], Step]
    state: Callable[[str, Settings, Call], str] = lambda *_: "there"
    keep: str = ""


def listing(
    service: str,
    operation: str,
    items: str,
    key: str,
    *,
    token: tuple[str, str] = ("NextToken", "NextToken"),
    **params: str,
) -> Callable[[Settings, Call], Iterator[str]]:
    """Names that start with the stage's prefix, out of one list operation. "{prefix}" in a parameter is filled in."""

    def names(settings: Settings, call: Call) -> Iterator[str]:
        prefix = settings.prefix
        filled = {name: value.format(prefix=prefix) for name, value in params.items()}
        request = Request(service=service, operation=operation, params=filled)
        for item in pages(call, request, items=items, token=token):
            name = str(item[key])
            if name == prefix or name.startswith((f"{prefix}-", f"{prefix}/")):
                yield name

    return names


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
