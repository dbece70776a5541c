"""down: takes away everything of the stage, then looks again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from deploy.errors import DeployError
from deploy.planning.plan import teardown
from deploy.session import Session
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME
from deploy.values import Plan, Step


@dataclass(frozen=True, kw_only=True)
class Down:
    """What was taken away, and the addresses that were kept since nobody asked for them to go."""

    gone: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()


def down(session: Session, confirm: Callable[[Plan], bool], *, also: Collection[str] = ()) -> Down:
    """Takes away all that carries the stage's tags. What cannot be made again stays unless its option is in `also`
    ("data", "images"). Raises DeployError when it is not confirmed, or when something is left."""
    found = inventory(session.settings, session.call)
    kept = tuple(address for address in found if _is_kept(address, also))
    todo = teardown(session.settings, {key: found[key] for key in found if key not in kept}, BY_NAME)
    if not todo.steps:
        return Down(kept=kept)
    if not confirm(todo):
        raise DeployError(f"{session.settings.prefix}: nothing was taken away")
    session.apply(todo)
    left = [address for address in inventory(session.settings, session.call) if not _is_kept(address, also)]
    if left:
        raise DeployError(f"still there: {', '.join(left)}; run ./inv down again")
    return Down(gone=todo.changes, kept=kept)


def _is_kept(address: str, also: Collection[str]) -> bool:
    option = BY_NAME[address.partition("/")[0]].keep
    return bool(option) and option not in also
