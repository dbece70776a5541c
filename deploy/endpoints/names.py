"""An endpoint's three names: what a person types, its table in deploy.toml, and its name on AWS."""

from __future__ import annotations

from deploy.config.settings import Settings
from deploy.errors import DeployError


def place(settings: Settings, name: str) -> str:
    """The endpoint's table in deploy.toml."""
    return "endpoint" if name == settings.endpoint_name else f"endpoints.{name.removeprefix(f'{settings.prefix}-')}"


def short_name(settings: Settings, name: str) -> str:
    """The endpoint as a person calls it: main, or its NAME of [endpoints.NAME]."""
    return "main" if name == settings.endpoint_name else name.removeprefix(f"{settings.prefix}-")


def endpoint_name(settings: Settings, name: str) -> str:
    """The AWS name of the endpoint that a person typed: `main`, NAME of [endpoints.NAME], or the AWS name itself.

    Raises DeployError for any other name.
    """
    known = {"": settings.endpoint_name, "main": settings.endpoint_name}
    known |= {key: f"{settings.prefix}-{key}" for key in settings.endpoints}
    known |= {whole: whole for whole in settings.all_endpoints}
    if name not in known:
        names = ", ".join(["main", *settings.endpoints])
        raise DeployError(f"{name}: unknown endpoint; choose one of {names}")
    return known[name]
