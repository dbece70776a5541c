"""down: deletes everything of the stage, then verifies that nothing is left."""

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
    """The steps that deleted something, and the addresses that were kept (see `also` of `down`)."""

    gone: tuple[Step, ...] = ()
    kept: tuple[str, ...] = ()


def down(session: Session, confirm: Callable[[Plan], bool], *, also: Collection[str] = ()) -> Down:
    """Deletes all resources with the stage's tags. Data, images and the deployer stay unless `also` names them.

    Raises DeployError when it is not confirmed, or when a resource is left.
    """
    existing = inventory(session.settings, session.call, say=session.screen.say)
    kept = tuple(address for address in existing if _is_kept(address, also))
    todo = teardown(session.settings, {key: existing[key] for key in existing if key not in kept}, BY_NAME)
    if not todo.steps:
        return Down(kept=kept)
    if not confirm(todo):
        raise DeployError(f"{session.settings.prefix}: nothing was deleted")
    session.apply(todo)
    after = inventory(session.settings, session.call, say=lambda _: None)  # what may not be read is told already
    left = [address for address in after if not _is_kept(address, also)]
    if left:
        raise DeployError(f"not deleted: {', '.join(left)}; run ./inv down again")
    return Down(gone=todo.changes, kept=kept)


def option_to_delete(address: str) -> str:
    """The option of `down` that a resource needs to be deleted; "" when it needs none."""
    return BY_NAME[address.partition("/")[0]].keep


def _is_kept(address: str, also: Collection[str]) -> bool:
    option = option_to_delete(address)
    return bool(option) and option not in also
