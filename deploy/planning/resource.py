"""The interface of every resource, and the tags that mark a resource as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy.aws.client import pages
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.values import Act, Call, Request, State, Step


class Resource(Protocol):
    """A desired resource. `read` observes it on AWS; `plan` compares (pure) and returns the step to take."""

    @property
    def address(self) -> str:
        """kind/name: unique within a stage."""
        ...

    def read(self, call: Call) -> State | None:
        """The observed state; None when the resource does not exist."""
        ...

    def plan(self, observed: State | None) -> Step:
        """The step from the observed to the desired state. Raises DeployError when the observed one is not ours."""
        ...


@dataclass(frozen=True, kw_only=True)
class ResourceKind:
    """A kind of resource, for commands that list and delete whatever exists (`down`, `status`).

    `names` lists resources that may belong to the stage, `tags` reads the tags of one, `remove` is the step that
    deletes it, `state` describes it in a few words. With `keep`, `down` deletes it only when the option of that name
    is given (`--data`, `--images`), because its content cannot be made again.
    """

    name: str
    names: Callable[[Settings, Call], Iterable[str]]
    tags: Callable[[str, Settings, Call], Mapping[str, str]]
    remove: Callable[[str, Settings], Step]
    state: Callable[[str, Settings, Call], str] = lambda *_: "exists"
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
    """Lists names that start with the stage's prefix, by one list operation. "{prefix}" in `params` is filled in."""

    def names(settings: Settings, call: Call) -> Iterator[str]:
        filled = {name: value.format(prefix=settings.prefix) for name, value in params.items()}
        request = Request(service=service, operation=operation, params=filled)
        for item in pages(call, request, items=items, token=token):
            if settings.may_own(str(item[key])):
                yield str(item[key])

    return names


def is_ours(observed: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    """Whether the observed tags hold all of ours."""
    return all(observed.get(key) == value for key, value in tags.items())


def require_ours(address: str, observed: State, tags: Mapping[str, str]) -> None:
    """Raises DeployError unless the tags are ours: a resource without them is never changed or deleted."""
    if not is_ours(observed.tags, tags):
        ours = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
        raise DeployError(
            f"{address}: exists but does not carry the tags {ours}, so it is left alone; "
            "choose another project.name in deploy.toml, or add the tags if it is yours"
        )


def unchanged(address: str) -> Step:
    return Step(action="none", address=address, reason="as it should be")


def delete(address: str, *acts: Act, touches: str = "") -> Step:
    return Step(action="delete", address=address, reason="down", acts=acts, touches=touches)
