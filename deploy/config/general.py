"""[project], [images], [data], [iam], [logs] and [stages.*]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from deploy.config.section import Name, Section

# The retentions that CloudWatch Logs takes, in days (PutRetentionPolicy's reference).
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
ARN = r"^$|^arn:aws[a-z-]*:"


class Project(Section):
    """The project: its name begins the name of every resource, and is a tag of every resource."""

    name: Name = "kennel"


class Images(Section):
    """How the images are built."""

    ca_bundle: str = ""


class Data(Section):
    """The pictures to train on: `groceries`, or the path of a folder or archive."""

    source: str = Field(default="groceries", min_length=1)


class Iam(Section):
    """The boundary of all roles, and who assumes the deployer's role."""

    permissions_boundary: str = Field(default="", pattern=ARN)
    deployer_principal: str = Field(default="", pattern=ARN)


class Logs(Section):
    """How long CloudWatch keeps the logs of endpoints, the function and training on EC2."""

    retention_days: int = 30

    @model_validator(mode="after")
    def _known(self) -> Logs:
        if self.retention_days not in RETENTION_DAYS:
            raise ValueError(f"retention_days: one of {', '.join(map(str, RETENTION_DAYS))}, not {self.retention_days}")
        return self


class Stage(Section):
    """Where resources are made. Stages differ only in address, registry and account."""

    account: str = Field(default="", pattern=r"^$|^\d{12}$")
    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    endpoint_url: str = Field(default="", pattern=r"^$|^https?://[^/]+$")
    engine_images: bool = False
    profile: str = ""
    credentials: Literal["environment", "dummy"] = "environment"

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if self.credentials == "dummy" and not self.endpoint_url:
            raise ValueError("credentials: dummy needs an endpoint_url, because AWS itself refuses such credentials")
        if self.engine_images and not self.endpoint_url:
            raise ValueError("engine_images: needs an endpoint_url, because AWS itself pulls from ECR only")
        return self
