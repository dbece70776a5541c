"""Fixtures for tests of endpoints: settings from a few lines of TOML, resources, and states as AWS returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.config.settings import Settings, choose, parse
from deploy.endpoints.endpoint import Endpoint
from deploy.endpoints.endpoint_config import EndpointConfig
from deploy.endpoints.resources import Serving, endpoint
from deploy.endpoints.spec import EndpointSpec, endpoint_spec
from deploy.images.facts import ImageFacts
from deploy.planning.resource import Resource
from deploy.values import Request, State, Step, Wait

STAGE = '[stages.local]\naccount = "123456789012"\nendpoint_url = "http://127.0.0.1:4566"\n'
BUCKET = "kennel-local-123456789012-us-east-1"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/kennel-local"
TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
IMAGE = "kennel/serve:1"


def settings_of(text: str) -> Settings:
    return choose(parse(f"{text}\n{STAGE}"), "local")


def spec_of(text: str, name: str = "main") -> EndpointSpec:
    return endpoint_spec(settings_of(text), name)


def artifact(job: str) -> str:
    return f"s3://{BUCKET}/jobs/{job}/output/model.tar.gz"


def resources(
    text: str, name: str = "kennel-local", *, image: str = IMAGE, facts: ImageFacts | None = None, job: str = "train-1"
) -> tuple[Resource, ...]:
    """The resources of an endpoint; each variant's artifact comes from a job named after the variant."""
    spec = spec_of(text, name)
    artifacts = {each: artifact(job if each == "main" else f"{job}-{each}") for each in spec.section.all_variants}
    return endpoint(Serving(spec=spec, image=image, facts=facts or ImageFacts(), artifacts=artifacts))


def config_of(text: str, name: str = "kennel-local", **more: Any) -> EndpointConfig:
    return next(each for each in resources(text, name, **more) if isinstance(each, EndpointConfig))


def endpoint_of(text: str, name: str = "kennel-local", **more: Any) -> Endpoint:
    return next(each for each in resources(text, name, **more) if isinstance(each, Endpoint))


def running(
    made: Endpoint, *, status: str = "InService", tags: Mapping[str, str] | None = None, **attributes: str
) -> State:
    """The state in which the deploy of `made` leaves its endpoint."""
    create = next(act for act in made.plan(None).acts if isinstance(act, Request))
    own = {each["Key"]: each["Value"] for each in create.params["Tags"]}
    shares = {name: {"weight": share.weight, "instances": share.count} for name, share in made.shares.items()}
    return State(
        fields={"config": made.config, "shares": shares, "serves": made.serves},
        attributes={"arn": ARN, "reason": "", "pending": "", **attributes},
        tags={**own, **(tags or {})},
        status=status,
    )


def requests(step: Step) -> list[Request]:
    return [act for act in step.acts if isinstance(act, Request)]


def operations(step: Step) -> list[str]:
    """The operations that a step sends, with waits in brackets."""
    return [f"({act.request.operation})" if isinstance(act, Wait) else act.operation for act in step.acts
            if isinstance(act, Request | Wait)]  # fmt: skip
