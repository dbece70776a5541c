"""The artifacts that the endpoints should serve: the newest completed jobs of the trainings that deploy.toml names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploy.config.endpoint import Variant
from deploy.config.settings import Settings
from deploy.endpoints.spec import EndpointSpec
from deploy.errors import DeployError
from deploy.jobs.latest import latest_job
from deploy.jobs.training_job import TrainingJob
from deploy.values import Call


@dataclass(frozen=True, kw_only=True)
class Trained:
    """By endpoint (its name on AWS): the artifact of each variant (S3 URIs) where all variants have one; else in
    `missing` what to train first."""

    artifacts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def trained(settings: Settings, specs: Iterable[EndpointSpec], call: Call) -> Trained:
    """Looks up the job of each variant. Raises DeployError for a pinned job that does not exist or made no model."""
    by_choice: dict[tuple[str, str], str] = {}  # variants often share a training: ask for each job once
    artifacts: dict[str, Mapping[str, str]] = {}
    missing: dict[str, str] = {}
    for spec in specs:
        own: dict[str, str] = {}
        for key, variant in spec.section.all_variants.items():
            choice = (variant.training, variant.job)
            if choice not in by_choice:
                by_choice[choice] = _artifact(settings, call, variant, where=spec.table)
            own[key] = by_choice[choice]
            if not own[key]:
                missing[spec.name] = _train_first(variant)
        if all(own.values()):
            artifacts[spec.name] = own
    return Trained(artifacts=artifacts, missing=missing)


def _artifact_of(job: TrainingJob) -> str:
    """The artifact of a training job. Raises DeployError unless the job has completed."""
    if job.status != "Completed":
        raise DeployError(
            f"training job {job.name}: is {job.status} and made no model; choose a completed job, or run ./inv train"
        )
    return job.artifact


def _artifact(settings: Settings, call: Call, variant: Variant, *, where: str) -> str:
    job = latest_job(settings, call, training=variant.training, job=variant.job)
    if job is None and variant.job:
        raise DeployError(f"{where}.job: there is no training job {variant.job}; ./inv status lists the jobs")
    return _artifact_of(job) if job else ""


def _train_first(variant: Variant) -> str:
    if variant.training == "train":
        return "no model is trained yet; run ./inv data train first"
    return f"no model of training {variant.training} yet; run ./inv train --name {variant.training} first"
