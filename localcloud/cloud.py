"""What every service of localcloud works with: the account, the clients, the shared records."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from localcloud.authorization.access import Access, OpenAccess, pull_needs
from localcloud.aws_client import Credentials
from localcloud.cloudwatch.alarms import Alarms
from localcloud.cloudwatch.logs import LogSink, logs_as
from localcloud.cloudwatch.metrics import Metrics
from localcloud.containers.engine import Engine
from localcloud.ecr.pull import Images
from localcloud.ecr.registry import Registry
from localcloud.environment import FOURTEEN_DAYS
from localcloud.iam import AllowAnyRole, Roles
from localcloud.s3 import Objects, objects_as
from localcloud.service_quotas.limits import Quotas
from localcloud.tags import Tags

SAGEMAKER = "SageMaker"  # the name of the sessions that SageMaker begins


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
    access: Access = field(default_factory=OpenAccess)

    @property
    def images(self) -> Images:
        """The images that SageMaker and Lambda run."""
        return Images(engine=self.engine, registry=self.registry)

    def credentials(self, role: str, session: str = SAGEMAKER) -> Credentials:
        """What a container that runs with a role gets."""
        return self.access.credentials(role, session)

    def objects_as(self, role: str, session: str = SAGEMAKER) -> Objects:
        """S3 for what a service does with a role."""
        if not self.access.is_enforced:
            return self.objects
        return objects_as(self.endpoint_url, self.region, self.credentials(role, session))

    def logs_as(self, role: str, session: str = SAGEMAKER) -> LogSink:
        """CloudWatch Logs for what a service writes with a role."""
        if not self.access.is_enforced:
            return self.logs
        return logs_as(self.endpoint_url, self.region, self.credentials(role, session))

    def may_pull(self, reference: str, role: str) -> bool:
        """Whether SageMaker may pull an image with a role. Images of the engine alone are free."""
        repository = self.images.repository(reference)
        if repository is None:
            return True
        return not self.access.refusal(role, SAGEMAKER, pull_needs(self.arn("ecr", f"repository/{repository}")))

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`"""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"
