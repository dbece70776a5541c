"""[endpoint] and [endpoints.*], with their variants, rollout and autoscaling."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from deploy.config.section import InstanceType, JobName, Name, Section

EndpointKind = Literal["real-time", "serverless", "async"]
InferenceAmi = Literal[
    "",
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2023-ami-sagemaker-inference-gpu-4-1",
]  # rule 40
Count = Annotated[int, Field(ge=1, le=100)]
VARIANT = "main"  # the name of the only variant of an endpoint without [variants]
ALARM_S = 60  # the least time that an alarm takes to go off
LONGEST_ROLLOUT_S = 28_800 - 3600  # AWS allows a deployment 8 hours; one is left for starting instances


class Variant(Section):
    """One variant: a model on instances of its own, with a share of the traffic."""

    training: Name = Field(default="train", description="serve the newest model of this training")
    job: JobName = Field(default="", description="serve the model of this job instead")
    weight: float = Field(default=1.0, ge=0, description="share of the traffic, relative to the other variants")
    instance_type: InstanceType | None = Field(default=None, description="default: the endpoint's")
    instance_count: Count | None = Field(default=None, description="default: the endpoint's")


class Rollout(Section):
    """How traffic moves from the old version to a new one, and what makes AWS roll back."""

    how: Literal["all-at-once", "canary", "linear"] = "all-at-once"
    percent: int = Field(default=10, ge=1, le=50)  # rule 55
    wait_seconds: int = Field(default=300, ge=0, le=3600)
    keep_old_seconds: int = Field(default=0, ge=0, le=3600)
    max_error_percent: float = Field(default=0, ge=0, le=100)
    max_latency_ms: int = Field(default=0, ge=0)
    golden: bool = True
    golden_tolerance: float = Field(default=0, ge=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> Rollout:
        if self.how == "linear" and self.percent < 10:
            raise ValueError(f"percent: linear steps must be 10 to 50 percent, not {self.percent}")  # rule 55
        if self.seconds > LONGEST_ROLLOUT_S:
            raise ValueError(f"wait_seconds: all steps take {self.seconds} s, but AWS allows {LONGEST_ROLLOUT_S}")
        if (self.max_error_percent or self.max_latency_ms) and self.seconds < ALARM_S:
            raise ValueError(
                "keep_old_seconds: alarms look at whole minutes, but the old version would be gone after "
                f"{self.seconds} s; set keep_old_seconds to {ALARM_S}, or let canary or linear steps take that long"
            )
        if self.how != "all-at-once" and self.max_error_percent >= self.percent:
            raise ValueError(
                f"max_error_percent: a new version that takes {self.percent} % of the requests cannot make "
                f"{self.max_error_percent:g} % of all requests fail; choose less than percent, {self.percent}"
            )
        return self

    @property
    def seconds(self) -> int:
        """The seconds that the traffic takes to move, and that the old version is kept afterwards."""
        steps = {"all-at-once": 0, "canary": 2, "linear": math.ceil(100 / self.percent)}[self.how]
        return steps * self.wait_seconds + self.keep_old_seconds


class Schedule(Section):
    """Other bounds of autoscaling from a stated time (UTC)."""

    at: str = Field(  # rule 49
        pattern=r"^(at|rate|cron)\(.+\)$",
        description="`at(2026-01-31T08:00:00)`, `rate(12 hours)` or `cron(…)`, in UTC",
    )
    min: int | None = Field(default=None, ge=0, description="instances at least from then on")
    max: int | None = Field(default=None, ge=0, description="instances at most from then on")


class Autoscaling(Section):
    """Target tracking for each variant of an endpoint. Without `max` the endpoint does not scale."""

    min: int = Field(default=1, ge=0, le=100)
    max: int = Field(default=0, ge=0, le=1000)
    metric: Literal["invocations", "concurrency", "backlog"] = "invocations"
    target: float = Field(default=100.0, gt=0)
    cooldown_in_seconds: int = Field(default=300, ge=0, le=86400)
    cooldown_out_seconds: int = Field(default=300, ge=0, le=86400)
    schedules: dict[Name, Schedule] = Field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        return self.max > 0

    @model_validator(mode="after")
    def _consistent(self) -> Autoscaling:
        if self.is_on and self.min > self.max:
            raise ValueError(f"min: {self.min} is more than max, {self.max}")
        return self


class Endpoint(Section):
    """An endpoint that serves one model, or several models as variants."""

    kind: EndpointKind = "real-time"
    instance_type: InstanceType = "ml.m5.large"
    instance_count: Count = 1
    training: Name = "train"
    job: JobName = ""
    startup_timeout_s: int = Field(default=480, ge=60, le=3600)  # rule 29
    environment: dict[str, str] = Field(default_factory=dict, max_length=100)  # rule 38
    inference_ami: InferenceAmi = ""
    memory_mb: int = Field(default=3072, ge=1024, le=6144, multiple_of=1024)  # rule 45
    max_concurrency: int = Field(default=5, ge=1, le=200)
    provisioned_concurrency: int = Field(default=0, ge=0, le=200)
    async_concurrency: int = Field(default=4, ge=1, le=1000)  # rule 42
    detailed_observability: bool = False  # rule 39
    variants: dict[Name, Variant] = Field(default_factory=dict, max_length=10)
    rollout: Rollout = Rollout()
    autoscaling: Autoscaling = Autoscaling()

    @property
    def all_variants(self) -> dict[str, Variant]:
        """Every variant by its name in AWS; a variant without instance settings gets the endpoint's."""
        named = self.variants or {VARIANT: Variant(training=self.training, job=self.job)}
        inherited = {"instance_type": self.instance_type, "instance_count": self.instance_count}
        return {
            name: variant.model_copy(
                update={key: value for key, value in inherited.items() if getattr(variant, key) is None}
            )
            for name, variant in named.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Endpoint:
        if self.kind != "real-time" and len(self.variants) > 1:
            raise ValueError(f"variants: a {self.kind} endpoint has one variant only")
        if self.provisioned_concurrency > self.max_concurrency:
            raise ValueError(
                f"provisioned_concurrency: {self.provisioned_concurrency} is more than max_concurrency, "
                f"{self.max_concurrency}"
            )
        if self.kind == "serverless" and self.detailed_observability:
            raise ValueError("detailed_observability: a serverless endpoint has no instances to observe; leave it out")
        if self.variants and (self.job or self.training != "train"):
            raise ValueError("job: an endpoint with variants has none; set training or job in each variant")
        if self.variants and not any(variant.weight for variant in self.variants.values()):
            raise ValueError("variants: at least one weight must be above 0")
        return self
