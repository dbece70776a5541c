"""Reads deploy.toml and chooses a stage. Errors name the key, what is wrong, and the valid keys.

deploy.toml itself documents every key, which a test checks. The other modules of this package hold its sections.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.config.endpoint import Endpoint
from deploy.config.function import Function, Notebook
from deploy.config.general import Data, Iam, Images, Logs, Project, Stage
from deploy.config.section import Name, Section, unknown, valid_keys
from deploy.config.training import Training, Tuning
from deploy.errors import SettingsError

FILE = "deploy.toml"
STAGE_VARIABLE = "KENNEL_STAGE"
DEFAULT_STAGE = "local"


class File(Section):
    """deploy.toml as a whole."""

    project: Project = Project()
    images: Images = Images()
    data: Data = Data()
    training: Training = Training()
    tuning: Tuning = Tuning()
    endpoint: Endpoint = Endpoint()
    endpoints: dict[Name, Endpoint] = Field(default_factory=dict)
    function: Function = Field(default=Function(), alias="lambda")
    iam: Iam = Iam()
    logs: Logs = Logs()
    notebook: Notebook = Notebook()
    stages: dict[Name, Stage]


class Settings(BaseModel):
    """deploy.toml with one stage chosen: the settings of every command."""

    model_config = ConfigDict(frozen=True)

    project: Project
    images: Images
    data: Data
    training: Training
    tuning: Tuning
    endpoint: Endpoint
    endpoints: dict[str, Endpoint]
    function: Function
    iam: Iam
    logs: Logs
    notebook: Notebook
    stage_name: str
    stage: Stage

    @property
    def prefix(self) -> str:
        """The beginning of the name of every resource."""
        return f"{self.project.name}-{self.stage_name}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark a resource as ours. A resource without both is never changed or deleted."""
        return {"kennel:project": self.project.name, "kennel:stage": self.stage_name}

    @property
    def bucket(self) -> str:
        return f"{self.prefix}-{self.stage.account}-{self.stage.region}"

    def may_own(self, name: str) -> bool:
        """Whether a name is one that the stage's resources may have. The deployer may ask about those only; AWS's own
        filters (NameContains) also find the prefix in the middle of a name."""
        return name == self.prefix or name.startswith((f"{self.prefix}-", f"{self.prefix}/"))

    @property
    def endpoint_name(self) -> str:
        """The name of the main endpoint, which the function invokes."""
        return self.prefix

    @property
    def all_endpoints(self) -> dict[str, Endpoint]:
        """Every endpoint by its name in AWS, the main one first."""
        further = {f"{self.prefix}-{name}": endpoint for name, endpoint in self.endpoints.items()}
        return {self.endpoint_name: self.endpoint, **further}

    @property
    def function_name(self) -> str:
        return f"{self.prefix}-classify"

    def role_name(self, purpose: str) -> str:
        return f"{self.prefix}-{purpose}"

    def repository_name(self, image: str) -> str:
        """The ECR repository of an image (train, serve or lambda)."""
        return f"{self.prefix}/{image}"

    def arn(self, service: str, resource: str) -> str:
        region = "" if service in ("iam", "s3") else self.stage.region
        account = "" if service == "s3" else self.stage.account
        return f"arn:aws:{service}:{region}:{account}:{resource}"


def load(path: Path, *, environ: Mapping[str, str]) -> Settings:
    """Reads deploy.toml and chooses the stage that KENNEL_STAGE names (local without it). Raises SettingsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return choose(parse(text, where=path.name), environ.get(STAGE_VARIABLE) or DEFAULT_STAGE, where=path.name)


def parse(text: str, *, where: str = FILE) -> File:
    """Parses and checks deploy.toml. Raises SettingsError with one line for each error."""
    try:
        return File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError("\n".join(f"{where}: {_explain(each)}" for each in error.errors())) from error


def choose(file: File, name: str, *, where: str = FILE) -> Settings:
    """The settings of one stage. Raises SettingsError for an unknown stage, or one without an account."""
    stage = file.stages.get(name)
    if stage is None:
        raise SettingsError(f"{where}: stages.{name}: {unknown(name, tuple(file.stages))}")
    if not stage.account:
        raise SettingsError(f"{where}: stages.{name}.account: empty; enter the 12 digits of the AWS account")
    sections = {key: getattr(file, key) for key in File.model_fields if key != "stages"}
    chosen = Settings(**sections, stage_name=name, stage=stage)
    if len(chosen.bucket) > 63:
        problem = f"together too long: the bucket {chosen.bucket} would have more than 63 characters"
        raise SettingsError(f"{where}: project.name and stages.{name}: {problem}")
    return chosen


def _explain(error: Any) -> str:
    """One of pydantic's errors in our words: the key, what is wrong, the valid keys."""
    place = [str(part) for part in error["loc"] if part != "[key]"]
    key = ".".join(place)
    if error["type"] == "extra_forbidden":
        return f"{key}: {unknown(place[-1], _valid_keys(place[:-1]))}"
    if error["type"] == "missing":
        return f"{key}: missing"
    message = re.sub(r"^Value error, ", "", error["msg"])
    if error["type"] == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: {message}, not {error['input']!r}"


def _valid_keys(place: list[str]) -> tuple[str, ...]:
    """The keys of the section at a place, also of nested sections ([endpoints.NAME.rollout])."""
    model: Any = File
    for part in place:
        inner = _inner(model, part)
        model = inner if inner is not None else model  # None: the part is a name that the user chose
    return valid_keys(model)


def _inner(model: Any, part: str) -> Any:
    """The section that a key holds, alone or by names that the user chooses; None for any other key."""
    for name, spec in model.model_fields.items():
        if part in (name, spec.alias):
            types = [spec.annotation, *get_args(spec.annotation)]
            return next((each for each in types if isinstance(each, type) and issubclass(each, Section)), None)
    return None
