"""What every service of localcloud works with: the account, the clients, the shared records."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from localcloud.cloudwatch.alarms import Alarms
from localcloud.cloudwatch.logs import LogSink
from localcloud.cloudwatch.metrics import Metrics
from localcloud.containers.engine import Engine
from localcloud.ecr.pull import Images
from localcloud.ecr.registry import Registry
from localcloud.environment import FOURTEEN_DAYS
from localcloud.iam import AllowAnyRole, Roles
from localcloud.s3 import Objects
from localcloud.service_quotas.limits import Quotas
from localcloud.tags import Tags


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """The account and region, the state folder, and the clients of Docker, S3, logs and CloudWatch.

    `endpoint_url`: localcloud's address for this host; `container_url`: the same for containers on any Docker network.
    `minute`: how many seconds a minute of CloudWatch and Application Auto Scaling lasts; tests and demos shorten it.
    `idle`: after how many seconds without an invocation a function's version becomes Inactive.
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
    metrics: Metrics
    alarms: Alarms
    tags: Tags
    now: Callable[[], datetime]
    registry: Registry | None = None
    minute: float = 60.0
    idle: float = FOURTEEN_DAYS
    roles: Roles = field(default_factory=AllowAnyRole)
    quotas: Quotas = field(default_factory=Quotas)

    @property
    def images(self) -> Images:
        """The images that SageMaker and Lambda run."""
        return Images(engine=self.engine, registry=self.registry)

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`"""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
