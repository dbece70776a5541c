"""deploy.toml: what should be. Frozen models, unknown keys refused; errors name the key, the fault and the valid keys.

The keys are documented in deploy.toml itself, which a test holds complete.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.errors import SettingsError

FILE = "deploy.toml"
STAGE_VARIABLE = "KENNEL_STAGE"
DEFAULT_STAGE = "local"
# The names of train/config.py's table; a test holds the two equal, for deploy does not import train.
HYPERPARAMETERS = (
    "model", "weights", "freeze_backbone", "epochs", "batch_size", "learning_rate", "optimizer", "momentum",
    "weight_decay", "schedule", "warmup_epochs", "label_smoothing", "patience", "seed", "resize", "crop", "augment",
    "views", "max_bad_share", "valid_share", "precision", "channels_last", "workers", "ranks",
    "checkpoint_interval_steps",
)  # fmt: skip

Name = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=20)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
Scalar = str | int | float | bool


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Project(_Section):
    """Whose resources these are: the first part of every name, and a tag on every resource."""

    name: Name = "kennel"


class Images(_Section):
    """How the images are built."""

    ca_bundle: str = ""


class Data(_Section):
    """The pictures: `groceries`, or the path of a folder or archive."""

    source: str = Field(default="groceries", min_length=1)


class Training(_Section):
    """The training job."""

    instance_type: InstanceType = "ml.m5.xlarge"
    instance_count: int = Field(default=1, ge=1, le=100)
    volume_gb: int = Field(default=30, ge=1, le=16384)
    max_run_minutes: int = Field(default=60, ge=1, le=28 * 24 * 60)  # CONTRACTS 17
    spot: bool = False
    max_wait_minutes: int = Field(default=120, ge=1, le=28 * 24 * 60)
    hyperparameters: dict[str, Scalar] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        for key in self.hyperparameters:
            if key.replace("-", "_") not in HYPERPARAMETERS:
                raise ValueError(f"hyperparameters.{key}: {_unknown(key, HYPERPARAMETERS)}")
        if self.spot and self.max_wait_minutes < self.max_run_minutes:
            raise ValueError("max_wait_minutes: must be at least max_run_minutes (CONTRACTS 17)")
        return self


class Endpoint(_Section):
    """The endpoint that serves the model."""

    instance_type: InstanceType = "ml.m5.large"
    instance_count: int = Field(default=1, ge=1, le=100)
    job: str = Field(default="", pattern=r"^$|^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")
    startup_timeout_s: int = Field(default=480, ge=60, le=3600)  # CONTRACTS 29
    environment: dict[str, str] = Field(default_factory=dict, max_length=100)  # CONTRACTS 38


class Function(_Section):
    """The Lambda in front of the endpoint."""

    memory_mb: int = Field(default=512, ge=128, le=10240)  # CONTRACTS 65
    timeout_s: int = Field(default=60, ge=1, le=900)
    reserved_concurrency: int | None = Field(default=None, ge=1)
    max_bytes: int = Field(default=6_000_000, ge=1, le=6_291_456)  # CONTRACTS 30
    allow_http: bool = False
    allow_hosts: tuple[str, ...] = ()


class Stage(_Section):
    """Where it happens. Stages differ in address, registry and account only."""

    account: str = Field(default="", pattern=r"^$|^\d{12}$")
    region: str = Field(default="us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    endpoint_url: str = Field(default="", pattern=r"^$|^https?://[^/]+$")
    registry: str = ""
    profile: str = ""
    credentials: Literal["environment", "dummy"] = "environment"

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        if self.credentials == "dummy" and not self.endpoint_url:
            raise ValueError("credentials: dummy ones need an endpoint_url; AWS itself would refuse them")
        return self


class File(_Section):
    """deploy.toml as a whole."""

    project: Project = Project()
    images: Images = Images()
    data: Data = Data()
    training: Training = Training()
    endpoint: Endpoint = Endpoint()
    function: Function = Field(default=Function(), alias="lambda")
    stages: dict[Name, Stage]


class Settings(BaseModel):
    """deploy.toml with its stage chosen: what every command works from."""

    model_config = ConfigDict(frozen=True)

    project: Project
    images: Images
    data: Data
    training: Training
    endpoint: Endpoint
    function: Function
    stage_name: str
    stage: Stage

    @property
    def prefix(self) -> str:
        """What the name of every resource starts with."""
        return f"{self.project.name}-{self.stage_name}"

    @property
    def tags(self) -> dict[str, str]:
        """What marks a resource as ours: without both it is never changed or deleted."""
        return {"kennel:project": self.project.name, "kennel:stage": self.stage_name}

    @property
    def bucket(self) -> str:
        return f"{self.prefix}-{self.stage.account}-{self.stage.region}"

    @property
    def endpoint_name(self) -> str:
        return self.prefix

    @property
    def function_name(self) -> str:
        return f"{self.prefix}-classify"

    def role_name(self, purpose: str) -> str:
        return f"{self.prefix}-{purpose}"

    def arn(self, service: str, resource: str) -> str:
        region = "" if service in ("iam", "s3") else self.stage.region
        account = "" if service == "s3" else self.stage.account
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    def image_uri(self, reference: str) -> str:
        """A built image's reference as AWS is told it: behind the stage's registry where it has one."""
        return f"{self.stage.registry}/{reference}" if self.stage.registry else reference


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """Reads deploy.toml and chooses the stage that KENNEL_STAGE names (local without it). Raises SettingsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return choose(parse(text, where=path.name), environ.get(STAGE_VARIABLE) or DEFAULT_STAGE, where=path.name)


def parse(text: str, *, where: str = FILE) -> File:
    """Raises SettingsError with one line for each fault."""
    try:
        return File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: not TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError("\n".join(f"{where}: {_explain(fault)}" for fault in error.errors())) from error


def choose(file: File, name: str, *, where: str = FILE) -> Settings:
    """The settings of one stage. Raises SettingsError for a stage that is not there or has no account yet."""
    stage = file.stages.get(name)
    if stage is None:
        raise SettingsError(f"{where}: stages.{name}: {_unknown(name, tuple(file.stages))}")
    if not stage.account:
        raise SettingsError(f"{where}: stages.{name}.account: empty; write the 12 digits of the account to work in")
    sections = {key: getattr(file, key) for key in File.model_fields if key != "stages"}
    chosen = Settings(**sections, stage_name=name, stage=stage)
    if len(chosen.bucket) > 63:
        long = f"together too long for a bucket called {chosen.bucket}"
        raise SettingsError(f"{where}: project.name and stages.{name}: {long}")
    return chosen


def _explain(fault: Any) -> str:
    """One of pydantic's faults in our words: key, what is wrong, what is possible."""
    place = [str(part) for part in fault["loc"]]
    key = ".".join(place)
    if fault["type"] == "extra_forbidden":
        return f"{key}: {_unknown(place[-1], _valid_keys(place[:-1]))}"
    if fault["type"] == "missing":
        return f"{key}: missing"
    message = re.sub(r"^Value error, ", "", fault["msg"])
    if fault["type"] == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: {message}, not {fault['input']!r}"


def _valid_keys(place: list[str]) -> tuple[str, ...]:
    sections = {(spec.alias or name): spec.annotation for name, spec in File.model_fields.items()}
    if not place:
        return tuple(sections)
    model: Any = Stage if place[0] == "stages" else sections[place[0]]
    return tuple(spec.alias or name for name, spec in model.model_fields.items())


def _unknown(key: str, valid: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), valid, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown{hint}; valid are {', '.join(valid)}"
