"""The inventory of a stage: every resource on AWS that carries the stage's tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deploy.aws.client import is_denied
from deploy.config.settings import Settings
from deploy.errors import AwsError
from deploy.planning.resource import ResourceKind, is_ours
from deploy.stage.kinds import KINDS
from deploy.values import Call, State

Say = Callable[[str], None]


def inventory(settings: Settings, call: Call, kinds: Iterable[ResourceKind] = KINDS, *, say: Say) -> dict[str, State]:
    """Every resource that carries the stage's tags, by address, in the order in which they may be deleted.

    Others may have resources of the same prefix that the deployer may not read (rule 100). `say` gets a line for each;
    they are left alone, as is everything without our tags.
    """
    ours: dict[str, State] = {}
    for kind in kinds:
        for name in _names(kind, settings, call, say):
            try:
                tags = kind.tags(name, settings, call)
            except AwsError as error:
                _tell_denied(error, f"{kind.name}/{name}: may not be read, so it is left alone", say)
            else:
                if is_ours(tags, settings.tags):
                    ours[f"{kind.name}/{name}"] = State(tags=tags)
    return ours


def _names(kind: ResourceKind, settings: Settings, call: Call, say: Say) -> list[str]:
    """The names that may be the stage's; those up to a refusal where these credentials may not list them all."""
    names = []
    try:
        for name in kind.names(settings, call):
            names.append(name)
    except AwsError as error:
        _tell_denied(error, f"{kind.name}: may not be listed, so any that exist are left alone", say)
    return names


def _tell_denied(error: AwsError, what: str, say: Say) -> None:
    """Raises any other error."""
    if not is_denied(error):
        raise error
    say(f"   {what} ({error.operation}: {error.code})")
