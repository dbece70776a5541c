"""A training job as a value, whatever it runs on: one shape of request, one shape of result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.models import Ref, content_hash
from deploy.sections.base import Scalar
from deploy.settings import Settings

LIMIT = 256  # of a hyperparameter's value: the stricter of two sources (CONTRACTS 4)


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What to train, with what, on what. URIs are S3's; times are seconds."""

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
    max_wait_s: int | None = None  # with managed spot only
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
) -> JobRequest:
    """The settings' training job. Its name follows from all that decides the model, so that nothing is trained twice.

    `data` is the S3 prefix of the pictures and `data_hash` names their content; `weights` is the prefix of a weights
    file; `overrides` are hyperparameters that go before the settings' own. `image_tag` names the image's content
    wherever it lies, so that pushing it elsewhere does not train again.
    """
    training = settings.training
    values = {**training.hyperparameters, **(overrides or {})}
    hyperparameters = {key.replace("-", "_"): text(value) for key, value in sorted(values.items())}
    hashed = content_hash(
        image_tag or image, data_hash, hyperparameters, weights, training.instance_type, training.instance_count
    )
    name = f"{settings.prefix}-{purpose}-{hashed}"
    return JobRequest(
        name=name,
        image=image,
        hyperparameters=hyperparameters,
        channels={"training": data, **({"weights": weights} if weights else {})},
        output=f"s3://{settings.bucket}/jobs",
        checkpoints=f"s3://{settings.bucket}/checkpoints/{name}",
        role=Ref(address=f"role/{settings.role_name('training')}", attribute="arn"),
        instance_type=training.instance_type,
        instance_count=training.instance_count,
        volume_gb=training.volume_gb,
        max_run_s=training.max_run_minutes * 60,
        max_wait_s=training.max_wait_minutes * 60 if training.spot else None,
        tags={**settings.tags, "kennel:purpose": purpose},
    )


def text(value: Scalar) -> str:
    """A hyperparameter as SageMaker carries it: a string. Raises ValueError when it is too long (CONTRACTS 4)."""
    written = str(value).lower() if isinstance(value, bool) else str(value)
    if len(written) > LIMIT:
        raise ValueError(f"a hyperparameter may have {LIMIT} characters, not {len(written)}: {written[:40]}…")
    return written
