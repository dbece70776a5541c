"""What a room of localcloud offers to the server: handlers by operation, local-only routes, and how it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.containers import Engine
from localcloud.logs import LogSink
from localcloud.objects import Objects
from localcloud.protocol import Answer

if TYPE_CHECKING:
    from localcloud.tags import Tags


class PassOn(Exception):  # noqa: N818 (no error: the request goes another way)
    """Raised by a handler for a resource that is moto's after all: the request goes on to moto as it came."""


Handler = Callable[[dict[str, Any]], Mapping[str, Any]]


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
    room answers itself: "function-url" → function of a Request. `close` stops what runs and must not raise.
    """

    name: str
    handlers: Mapping[str, Handler]
    local: Mapping[str, Handler] = field(default_factory=dict)
    web: Mapping[str, Callable[[Request], Answer]] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What every room works with: who we are, where state lies, and the doors to Docker, S3 and logs.

    `endpoint_url` is for this host, `container_url` for containers on any Docker network of this host.
    """

    instance: str
    account: str
    region: str
    state_dir: Path
    endpoint_url: str
    container_url: str
    engine: Engine
    objects: Objects
    logs: LogSink
    tags: "Tags"
    now: Callable[[], datetime]

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`"""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
