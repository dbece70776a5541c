"""What every room of localcloud works with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from localcloud.containers import Engine
from localcloud.logs import LogSink
from localcloud.objects import Objects
from localcloud.tags import Tags


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Who we are, where state lies, and the doors to Docker, S3 and logs.

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
    tags: Tags
    now: Callable[[], datetime]

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`"""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
