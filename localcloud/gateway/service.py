"""What a room of localcloud offers to the server: handlers by operation, local-only routes, and how it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.gateway.protocol import Response


class PassToMoto(Exception):  # noqa: N818 (no error: the request goes another way)
    """Raised by a handler for a resource that is moto's after all: the request goes on to moto as it came."""


Handler = Callable[[dict[str, Any]], Mapping[str, Any]]
Around = Callable[[Mapping[str, str], Callable[[], Response]], Response]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A plain HTTP request under a room's own prefix: `path` is what follows it, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """Handlers for some operations of one AWS service (several Services may share a name); the rest is moto's.

    `local` holds routes under /_localcloud/ that no AWS has: "POST /training-jobs/{name}/interrupt" → handler, which is
    given the path's labels and returns JSON. `web` holds prefixes under /_localcloud/ whose every request a
    room answers itself: "function-url" → function of a Request. `around` holds operations of a service of the Query
    protocol (ec2) that moto answers and that the room does the real work of: it is given the request's form and a
    function that asks moto. `close` stops what runs and must not raise.
    """

    name: str
    handlers: Mapping[str, Handler]
    local: Mapping[str, Handler] = field(default_factory=dict)
    web: Mapping[str, Callable[[Request], Response]] = field(default_factory=dict)
    around: Mapping[str, Around] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None
