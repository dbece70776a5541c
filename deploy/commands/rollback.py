"""rollback: back to what ran before the last deploy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.endpoints.endpoint import BROKEN, BUSY, describe, read, served
from deploy.endpoints.rollback import Target, step, target
from deploy.endpoints.spec import EndpointSpec, endpoint_spec
from deploy.errors import DeployError
from deploy.function.alias import alias
from deploy.planning.apply import wait
from deploy.session import Session
from deploy.values import Plan, State, Wait


def rollback(session: Session, name: str = "", *, to: str = "") -> Target:
    """Moves the endpoint `name` (main when not given) back, and says to what. An update under way is waited for.

    Raises DeployError when there is nothing to go back to.
    """
    spec = endpoint_spec(session.settings, name)
    with session.changing():
        observed = _settled(session, spec)
        back = target(spec, observed, to=to)
        if back.is_there:
            session.screen.say(f"   {spec.name}: is at {back.config} already; ./inv rollback --to goes elsewhere")
            return back
        return_to(session, spec, observed, back.config, reason="rolled back by hand")
    return back


def return_to(session: Session, spec: EndpointSpec, observed: State, config: str, *, reason: str) -> None:
    """Moves an endpoint to a configuration of its past, telling what that serves."""
    serves = served(config, session.call)
    todo = step(spec, observed, config, serves=serves, reason=reason)
    for variant, what in serves.items():
        session.screen.say(f"   {spec.name}, {variant}: back to {_words(what)}")
    session.apply(Plan(steps=(todo,)))


def look(session: Session, spec: EndpointSpec) -> State:
    """The endpoint as it is. Raises DeployError when it is not there."""
    observed = read(spec.name, session.call)
    if observed is None:
        raise DeployError(f"{spec.name}: is not there; ./inv deploy makes it")
    return observed


def _settled(session: Session, spec: EndpointSpec) -> State:
    observed = look(session, spec)
    if observed.status not in BUSY:
        return observed
    session.screen.say(f"   {spec.name}: is {observed.status}; waiting, since AWS takes no other update meanwhile")
    settled = Wait(request=describe(spec.name), path="EndpointStatus", until="InService", failed=BROKEN)
    wait(settled, session.call, clock=session.clock)
    return look(session, spec)


def _words(what: Mapping[str, Any]) -> str:
    return f"{what.get('Image', 'an image that is gone')} with {what.get('ModelDataUrl', 'a model that is gone')}"


def rollback_function(session: Session) -> str:
    """Moves the function's alias to the version that was live before, when that answers; returns its number.

    Raises DeployError when there is none, or when it is not healthy: then the alias stays where it is.
    """
    live = alias(session.settings, image="")
    with session.changing():
        todo = live.back(live.read(session.call))
        session.apply(Plan(steps=(todo,)))
    return str(todo.changes[0].after)
