"""Which artifacts the endpoints are to serve: the newest completed jobs of the trainings that deploy.toml names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.config.endpoint import Variant
from deploy.config.settings import Settings
from deploy.endpoints.names import place
from deploy.errors import DeployError
from deploy.jobs.latest import latest_job
from deploy.jobs.training_job import TrainingJob
from deploy.values import Call


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Artifacts (S3 URIs) by endpoint and variant, for endpoints that have all of theirs. `missing` says what the
    others lack, by endpoint."""

    artifacts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def trained(settings: Settings, call: Call) -> Trained:
    """Asks for each variant's job. Raises DeployError for a pinned job that is not there or made no model."""
    seen: dict[tuple[str, str], str] = {}
    artifacts: dict[str, Mapping[str, str]] = {}
    missing: dict[str, str] = {}
    for name, endpoint in settings.all_endpoints.items():
        found = {}
        for key, variant in endpoint.all_variants.items():
            asked = (variant.training, variant.job)
            if asked not in seen:
                seen[asked] = _artifact(settings, call, variant, where=place(settings, name))
            found[key] = seen[asked]
            if not found[key]:
                missing[name] = _lack(variant)
        if all(found.values()):
            artifacts[name] = found
    return Trained(artifacts=artifacts, missing=missing)


def artifact_of(job: TrainingJob) -> str:
    """The artifact of a training job. Raises DeployError unless the job has completed."""
    if job.status != "Completed":
        raise DeployError(f"training job {job.name}: is {job.status}; ./inv train makes one")
    return job.artifact


def _artifact(settings: Settings, call: Call, variant: Variant, *, where: str) -> str:
    job = latest_job(settings, call, training=variant.training, job=variant.job)
    if job is None and variant.job:
        raise DeployError(f"{where}.job: no training job is called {variant.job}; ./inv status lists them")
    return artifact_of(job) if job else ""


def _lack(variant: Variant) -> str:
    if variant.training == "train":
        return "no model is trained yet; run ./inv data train first"
    return f"no model of training {variant.training} yet; run ./inv train --name {variant.training} first"
