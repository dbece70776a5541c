"""What each AWS service of localcloud gives to the server: a handler for each operation, extra routes, and a close."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.gateway.protocol import Response


class PassToMoto(Exception):  # noqa: N818 (not an error: moto answers the request)
    """A handler raises this for a resource that moto keeps. The server then passes the request to moto unchanged."""


Handler = Callable[[dict[str, Any]], Mapping[str, Any]]
Wrapper = Callable[[Mapping[str, str], Callable[[], Response]], Response]


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request under a prefix of `Service.web`. `path` follows the prefix; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """The operations of one AWS service that localcloud answers itself. moto answers the others.

    `name`: botocore's name of the service. Several Services may share a name.
    `handlers`: operation → function that takes the request's parameters and returns the result's members.
    `local`: routes under /_localcloud/ that AWS does not have, as "POST /training-jobs/{name}/interrupt" → handler. The
        handler takes the path's labels and returns the JSON body.
    `web`: prefix under /_localcloud/ ("function-url") → function that answers every HTTP request under the prefix.
    `wrappers`: operations of a service with the Query protocol (ec2) whose records moto keeps, while localcloud does
        the real work. A wrapper takes the request's form and a function that asks moto for the response.
    `close`: stops what runs. Must not raise.
    """

    name: str
    handlers: Mapping[str, Handler]
    local: Mapping[str, Handler] = field(default_factory=dict)
    web: Mapping[str, Callable[[Request], Response]] = field(default_factory=dict)
    wrappers: Mapping[str, Wrapper] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None
