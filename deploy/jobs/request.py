"""A training job's request and result, the same for SageMaker, EC2 and this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contract.hyperparameters import normalised
from deploy.config.section import Scalar
from deploy.config.settings import Settings
from deploy.errors import SettingsError
from deploy.values import Ref, content_hash

NAME_LIMIT = 60  # of 63 characters (rule 17): further attempts are called name-2, name-3, …
LIMIT = 256  # characters of a hyperparameter's value: the stricter of two sources (rule 4)


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What to train and on which machines. URIs are S3 URIs; times are seconds."""

    name: str
    image: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, str]
    output: str
    checkpoints: str
    role: str | Ref
    instance_type: str
    instance_count: int = 1
    volume_gb: int = 30
    max_run_s: int = 3600
    max_wait_s: int | None = None  # managed spot only
    keep_alive_s: int = 0
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """How a job ended. `artifact` and `reports` are the S3 URIs of model.tar.gz and output.tar.gz."""

    name: str
    status: str
    artifact: str = ""
    reports: str = ""
    reason: str = ""
    seconds: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


def request(
    settings: Settings,
    *,
    image: str,
    image_tag: str = "",
    data: str,
    data_hash: str,
    weights: str = "",
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    instance_type: str = "",
    instance_count: int | None = None,
) -> JobRequest:
    """The training job that the settings describe. Its name is a hash of all that decides the model, so that the same
    model is not trained twice.

    `data` is the S3 prefix of the pictures and `data_hash` a hash of their content; `weights` is the prefix of a
    weights file. `image_tag` is a hash of the image's content, so that pushing the image to another registry does not
    train again. `overrides` (hyperparameters), `instance_type` and `instance_count` override the settings. Raises
    SettingsError.
    """
    training = settings.training
    hosts, count = instance_type or training.instance_type, instance_count or training.instance_count
    values = {**training.hyperparameters, **(overrides or {})}
    hyperparameters = {normalised(key): text(value) for key, value in sorted(values.items())}
    decisive = [image_tag or image, data_hash, hyperparameters, weights, hosts, count]
    hashed = content_hash(*decisive, *([training.environment] if training.environment else []))
    name = f"{settings.prefix}-{purpose}-{hashed}"
    if len(name) > NAME_LIMIT:
        raise SettingsError(f"{name}: a job's name has at most {NAME_LIMIT} characters: shorten --name or project.name")
    return JobRequest(
        name=name,
        image=image,
        hyperparameters=hyperparameters,
        channels={"training": data, **({"weights": weights} if weights else {})},
        output=f"s3://{settings.bucket}/jobs",
        checkpoints=f"s3://{settings.bucket}/checkpoints/{name}",
        role=Ref(address=f"role/{settings.role_name('training')}", attribute="arn"),
        instance_type=hosts,
        instance_count=count,
        volume_gb=training.volume_gb,
        max_run_s=training.max_run_minutes * 60,
        max_wait_s=training.max_wait_minutes * 60 if training.spot else None,
        keep_alive_s=training.keep_alive_minutes * 60,
        subnets=training.subnets,
        security_groups=training.security_groups,
        kms_key=training.kms_key,
        environment=dict(training.environment),
        tags={**settings.tags, "kennel:purpose": purpose},
    )


def text(value: Scalar) -> str:
    """A hyperparameter as the string that SageMaker passes on. Raises SettingsError when it is too long (rule 4)."""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    if len(written) > LIMIT:
        raise SettingsError(f"a hyperparameter has at most {LIMIT} characters, not {len(written)}: {written[:40]}…")
    return written
