"""rollback: returns to the version that ran before the last deploy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.aws.requests import sagemaker
from deploy.endpoints.endpoint import BUSY, Endpoint, served
from deploy.endpoints.names import endpoint_name
from deploy.endpoints.rollback import Back, step, target
from deploy.errors import DeployError
from deploy.function.alias import alias
from deploy.planning.apply import wait
from deploy.session import Session
from deploy.values import Plan, State, Wait


def rollback(session: Session, name: str = "", *, to: str = "") -> Back:
    """Moves the endpoint `name` (by default main) back, after an update in progress has ended; returns what it did.

    Raises DeployError without an earlier version.
    """
    endpoint = endpoint_name(session.settings, name)
    with session.changing():
        state = _settled(session, endpoint)
        back = target(endpoint, state, to=to)
        if back.is_there:
            session.screen.say(f"   {endpoint}: already runs {back.config}; ./inv rollback --to chooses another")
            return back
        return_to(session, endpoint, state, back.config, why="rolled back by hand")
    return back


def return_to(session: Session, endpoint: str, state: State, config: str, *, why: str) -> None:
    """Moves an endpoint to an earlier configuration, and shows the images and models of that."""
    serves = served(config, session.call)
    is_serverless = any("ServerlessConfig" in variant for variant in serves.values())
    tags = session.settings.tags
    todo = step(endpoint, state, config, serves=serves, tags=tags, why=why, is_serverless=is_serverless)
    for variant, container in serves.items():
        session.screen.say(f"   {endpoint}, {variant}: back to {_words(container)}")
    session.apply(Plan(steps=(todo,)))


def look(session: Session, endpoint: str) -> State:
    """The endpoint's current state. Raises DeployError when it does not exist."""
    state = Endpoint(name=endpoint, kind="", config="", tags=session.settings.tags).read(session.call)
    if state is None:
        raise DeployError(f"{endpoint}: does not exist; ./inv deploy creates it")
    return state


def _settled(session: Session, endpoint: str) -> State:
    state = look(session, endpoint)
    if state.status not in BUSY:
        return state
    session.screen.say(f"   {endpoint}: is {state.status}; waiting, because AWS accepts one update at a time")
    request = sagemaker("DescribeEndpoint", EndpointName=endpoint)
    settled = Wait(request=request, path="EndpointStatus", until="InService", failed=("Failed", "UpdateRollbackFailed"))
    wait(settled, session.call, clock=session.clock)
    return look(session, endpoint)


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
