"""[lambda], its autoscaling, and [notebook]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from deploy.config.section import InstanceType, Section


class ProvisionedScaling(Section):
    """Target tracking of provisioned concurrency. Without `max` it does not scale."""

    min: int = Field(default=1, ge=1)
    max: int = Field(default=0, ge=0)
    utilization: float = Field(default=0.7, ge=0.1, le=0.9)  # rule 68

    @property
    def is_on(self) -> bool:
        return self.max > 0

    @model_validator(mode="after")
    def _consistent(self) -> ProvisionedScaling:
        if self.is_on and self.min > self.max:
            raise ValueError(f"min: {self.min} is more than max, {self.max}")
        return self


class Function(Section):
    """The Lambda function in front of the main endpoint."""

    memory_mb: int = Field(default=512, ge=128, le=10240)  # rule 65
    timeout_s: int = Field(default=60, ge=1, le=900)
    reserved_concurrency: int | None = Field(default=None, ge=1)
    provisioned_concurrency: int = Field(default=0, ge=0)
    alias: str = Field(default="live", pattern=r"^[a-zA-Z][a-zA-Z0-9_-]*$", max_length=128)
    url: Literal["none", "iam", "public"] = "none"
    max_bytes: int = Field(default=6_000_000, ge=1, le=6_291_456)  # rule 30
    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()
    autoscaling: ProvisionedScaling = ProvisionedScaling()

    @model_validator(mode="after")
    def _consistent(self) -> Function:
        most = max(self.provisioned_concurrency, self.autoscaling.max)
        if self.reserved_concurrency is not None and most > self.reserved_concurrency:
            raise ValueError(
                f"provisioned_concurrency: {most} is more than reserved_concurrency, {self.reserved_concurrency}"
            )  # rule 67
        if self.autoscaling.is_on and not self.provisioned_concurrency:
            raise ValueError("autoscaling: scales provisioned_concurrency, which is 0; set it to 1 or more")
        return self


class Notebook(Section):
    """The notebook instance of `./inv notebook create`, which stops itself when idle."""

    instance_type: InstanceType = "ml.t3.medium"
    volume_gb: int = Field(default=5, ge=5, le=16384)
    idle_minutes: int = Field(default=60, ge=5, le=24 * 60)
