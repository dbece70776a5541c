"""An endpoint as a value: its names, its section of deploy.toml and what it takes from its stage (pure).

A command builds the values once, with `endpoint_specs` or `endpoint_spec`, and hands them on. Nothing below looks an
endpoint up by its name again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.config import endpoint as config
from deploy.config.settings import Settings
from deploy.errors import DeployError

MAIN = "main"  # what people type for [endpoint], the endpoint that the function calls


@dataclass(frozen=True, kw_only=True)
class EndpointSpec:
    """One endpoint of a stage as deploy.toml describes it."""

    name: str  # its name on AWS
    short_name: str  # what people type: main, or NAME of [endpoints.NAME]
    table: str  # its table in deploy.toml: endpoint, or endpoints.NAME
    section: config.Endpoint  # the content of that table
    prefix: str  # what the names of the stage's models start with
    role: str  # the name of the role that its models run with
    bucket: str
    arn: str
    alarm_arns: str  # what the ARNs of the stage's alarms start with
    tags: Mapping[str, str]

    @property
    def is_main(self) -> bool:
        return self.short_name == MAIN

    @property
    def is_serverless(self) -> bool:
        return self.section.kind == "serverless"

    @property
    def is_async(self) -> bool:
        return self.section.kind == "async"

    @property
    def async_folder(self) -> str:
        """Where an async endpoint's requests, answers and failures lie (an S3 URI)."""
        return f"s3://{self.bucket}/async/{self.short_name}"

    def table_of(self, variant: str) -> str:
        """The table of deploy.toml that configures a variant: the endpoint's own where none are named."""
        return f"{self.table}.variants.{variant}" if self.section.variants else self.table


def endpoint_specs(settings: Settings) -> tuple[EndpointSpec, ...]:
    """Every endpoint of the stage, the main one first."""
    further = (_spec(settings, name, f"endpoints.{name}", section) for name, section in settings.endpoints.items())
    return (_spec(settings, MAIN, "endpoint", settings.endpoint), *further)


def endpoint_spec(settings: Settings, name: str) -> EndpointSpec:
    """The endpoint that a person typed: main (or ""), NAME of [endpoints.NAME], or its name on AWS.

    Raises DeployError for any other name.
    """
    specs = endpoint_specs(settings)
    by_name = {spec.short_name: spec for spec in specs} | {spec.name: spec for spec in specs}
    spec = by_name.get(name or MAIN)
    if spec is None:
        names = ", ".join(spec.short_name for spec in specs)
        raise DeployError(f"{name}: unknown endpoint; choose one of {names}")
    return spec


def _spec(settings: Settings, short_name: str, table: str, section: config.Endpoint) -> EndpointSpec:
    name = settings.endpoint_name if table == "endpoint" else f"{settings.prefix}-{short_name}"
    return EndpointSpec(
        name=name,
        short_name=short_name,
        table=table,
        section=section,
        prefix=settings.prefix,
        role=settings.role_name("endpoint"),
        bucket=settings.bucket,
        arn=settings.arn("sagemaker", f"endpoint/{name.lower()}"),  # ARNs of SageMaker are in lower case
        alarm_arns=settings.arn("cloudwatch", "alarm:"),
        tags=settings.tags,
    )
