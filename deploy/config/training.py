"""[training], [training.ec2] and [tuning]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from contract import hyperparameters
from contract.hyperparameters import HyperparameterError
from deploy.config.section import InstanceType, JobName, Scalar, Section, unknown

Backend = Literal["sagemaker", "ec2", "local"]
HYPERPARAMETERS = tuple(hyperparameters.TABLE)
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=512)]
LONGEST_RUN = 28 * 24 * 60  # minutes (rule 17)


def _check_hyperparameter(key: str, value: Scalar) -> None:
    """Raises ValueError for an unknown name, and in the trainer's words for a value that the trainer would refuse."""
    name = hyperparameters.normalised(key)
    if name not in HYPERPARAMETERS:
        raise ValueError(f"hyperparameters.{key}: {unknown(key, HYPERPARAMETERS)}")
    try:
        hyperparameters.TABLE[name].parse(value)
    except HyperparameterError as error:
        raise ValueError(f"hyperparameters.{error}") from error


class Ec2(Section):
    """The instance of `train --on ec2`, which trains, uploads the model and terminates itself."""

    instance_type: str = Field(default="g4dn.xlarge", pattern=r"^[a-z0-9-]+\.[a-z0-9]+$")
    ami_parameter: str = Field(
        default="/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
        pattern=r"^/[A-Za-z0-9/._-]+$",  # rule 85
    )
    volume_gb: int = Field(default=100, ge=30, le=16384)
    spot: bool = False
    subnet: str = Field(default="", pattern=r"^$|^subnet-[0-9a-f]+$")
    key_pair: str = ""
    ssh_from: str = Field(default="", pattern=r"^$|^[0-9.]+/32$")

    @model_validator(mode="after")
    def _consistent(self) -> Ec2:
        if self.ssh_from and not self.key_pair:
            raise ValueError("ssh_from: nobody can log in without a key_pair; set key_pair too")
        return self


class Training(Section):
    """The training job and its instances."""

    on: Backend = "sagemaker"
    instance_type: InstanceType = "ml.m5.xlarge"
    instance_count: int = Field(default=1, ge=1, le=100)
    volume_gb: int = Field(default=30, ge=1, le=16384)
    max_run_minutes: int = Field(default=60, ge=1, le=LONGEST_RUN)
    spot: bool = False
    max_wait_minutes: int = Field(default=120, ge=1, le=LONGEST_RUN)
    keep_alive_minutes: int = Field(default=0, ge=0, le=60)  # the stricter of rule 20
    environment: dict[Variable, Annotated[str, Field(max_length=512)]] = Field(
        default_factory=dict,
        max_length=100,  # rule 11
    )
    subnets: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$")], ...] = Field(default=(), max_length=16)
    security_groups: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]+$")], ...] = Field(default=(), max_length=5)
    kms_key: str = Field(default="", max_length=2048, pattern=r"^$|^arn:aws[a-z-]*:kms:[a-z0-9:/_-]+$")
    hyperparameters: dict[str, Scalar] = Field(
        default_factory=dict, description="[the hyperparameters](hyperparameters.md) that differ from their defaults"
    )
    ec2: Ec2 = Ec2()

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        for key, value in self.hyperparameters.items():
            _check_hyperparameter(key, value)
        if self.spot and self.max_wait_minutes < self.max_run_minutes:
            raise ValueError("max_wait_minutes: must be at least max_run_minutes")  # rule 17
        if self.spot and self.keep_alive_minutes:
            raise ValueError(
                "keep_alive_minutes: a warm pool cannot use spot instances; remove one of the two"
            )  # rule 20
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets: set subnets and security_groups together, or neither")
        return self


class Range(Section):
    """The values of a hyperparameter that tuning tries: a list `values`, or a range from `min` to `max`."""

    values: tuple[Scalar, ...] = Field(default=(), description="values to choose from, instead of min and max")
    min: float | None = Field(default=None, description="smallest value")
    max: float | None = Field(default=None, description="largest value")
    scale: Literal["linear", "log"] = Field(default="linear", description="how values spread from min to max")

    @model_validator(mode="after")
    def _consistent(self) -> Range:
        bounds = self.min is not None and self.max is not None
        if bool(self.values) == bounds or (self.values and (self.min is not None or self.max is not None)):
            raise ValueError("values: set either values, or min and max")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min: {self.min:g} must be below max, {self.max:g}")
        if self.scale == "log" and (self.values or (self.min is not None and self.min <= 0)):
            raise ValueError("scale: log needs a min above 0")
        return self


class Tuning(Section):
    """The search for the best hyperparameters."""

    strategy: Literal["Bayesian", "Random", "Grid"] = "Bayesian"
    objective: str = Field(default="valid:top1", min_length=1)
    direction: Literal["Maximize", "Minimize"] = "Maximize"
    max_jobs: int = Field(default=8, ge=1, le=500)
    max_parallel: int = Field(default=2, ge=1, le=100)
    early_stopping: bool = False
    warm_start: JobName = ""
    ranges: dict[str, Range] = Field(default_factory=dict, max_length=30)

    @model_validator(mode="after")
    def _consistent(self) -> Tuning:
        for key in self.ranges:
            if key not in HYPERPARAMETERS:
                raise ValueError(f"ranges.{key}: {unknown(key, HYPERPARAMETERS)}")
        if self.max_parallel > self.max_jobs:
            raise ValueError(f"max_parallel: {self.max_parallel} is more than max_jobs, {self.max_jobs}")
        return self
