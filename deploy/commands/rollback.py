"""rollback: back to what ran before the last deploy."""

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
    """Moves the endpoint `name` (main when not given) back, and says to what. An update under way is waited for.

    Raises DeployError when there is nothing to go back to.
    """
    endpoint = endpoint_name(session.settings, name)
    with session.changing():
        seen = _settled(session, endpoint)
        back = target(endpoint, seen, to=to)
        if back.is_there:
            session.screen.say(f"   {endpoint}: is at {back.config} already; ./inv rollback --to goes elsewhere")
            return back
        return_to(session, endpoint, seen, back.config, why="rolled back by hand")
    return back


def return_to(session: Session, endpoint: str, seen: State, config: str, *, why: str) -> None:
    """Moves an endpoint to a configuration of its past, telling what that serves."""
    serves = served(config, session.call)
    is_serverless = any("ServerlessConfig" in variant for variant in serves.values())
    tags = session.settings.tags
    todo = step(endpoint, seen, config, serves=serves, tags=tags, why=why, is_serverless=is_serverless)
    for variant, what in serves.items():
        session.screen.say(f"   {endpoint}, {variant}: back to {_words(what)}")
    session.apply(Plan(steps=(todo,)))


def look(session: Session, endpoint: str) -> State:
    """The endpoint as it is. Raises DeployError when it is not there."""
    seen = Endpoint(name=endpoint, kind="", config="", tags=session.settings.tags).read(session.call)
    if seen is None:
        raise DeployError(f"{endpoint}: is not there; ./inv deploy makes it")
    return seen


def _settled(session: Session, endpoint: str) -> State:
    seen = look(session, endpoint)
    if seen.status not in BUSY:
        return seen
    session.screen.say(f"   {endpoint}: is {seen.status}; waiting, since AWS takes no other update meanwhile")
    request = sagemaker("DescribeEndpoint", EndpointName=endpoint)
    settled = Wait(request=request, path="EndpointStatus", until="InService", failed=("Failed", "UpdateRollbackFailed"))
    wait(settled, session.call, clock=session.clock)
    return look(session, endpoint)


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
