"""rollback: returns to the version that ran before the last deploy."""

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
    """Moves the endpoint `name` (by default main) back, after an update in progress has ended; returns the target.

    Raises DeployError without an earlier version.
    """
    spec = endpoint_spec(session.settings, name)
    with session.changing():
        observed = _settled(session, spec)
        back = target(spec, observed, to=to)
        if back.is_there:
            session.screen.say(f"   {spec.name}: already runs {back.config}; ./inv rollback --to chooses another")
            return back
        return_to(session, spec, observed, back.config, reason="rolled back by hand")
    return back


def return_to(session: Session, spec: EndpointSpec, observed: State, config: str, *, reason: str) -> None:
    """Moves an endpoint to an earlier configuration, and shows the images and models of that."""
    serves = served(config, session.call)
    todo = step(spec, observed, config, serves=serves, reason=reason)
    for variant, container in serves.items():
        session.screen.say(f"   {spec.name}, {variant}: back to {_words(container)}")
    session.apply(Plan(steps=(todo,)))


def look(session: Session, spec: EndpointSpec) -> State:
    """The endpoint's current state. Raises DeployError when it does not exist."""
    observed = read(spec.name, session.call)
    if observed is None:
        raise DeployError(f"{spec.name}: does not exist; ./inv deploy creates it")
    return observed


def _settled(session: Session, spec: EndpointSpec) -> State:
    observed = look(session, spec)
    if observed.status not in BUSY:
        return observed
    session.screen.say(f"   {spec.name}: is {observed.status}; waiting, because AWS accepts one update at a time")
    settled = Wait(request=describe(spec.name), path="EndpointStatus", until="InService", failed=BROKEN)
    wait(settled, session.call, clock=session.clock)
    return look(session, spec)


def _words(container: Mapping[str, Any]) -> str:
    return f"{container.get('Image', 'a deleted image')} with {container.get('ModelDataUrl', 'a deleted model')}"


def rollback_function(session: Session) -> str:
    """Moves the function's alias to the previous live version if that is healthy; returns its number.

    Raises DeployError without such a version, and for an unhealthy one; the alias then stays.
    """
    live = alias(session.settings, image="")
    with session.changing():
        todo = live.back(live.read(session.call))
        session.apply(Plan(steps=(todo,)))
    return str(todo.changes[0].after)
