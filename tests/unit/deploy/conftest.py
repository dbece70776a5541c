"""What the deploy tests share: settings, and the golden files of every request that the product can make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.config.settings import Settings, choose, parse
from deploy.values import Request
from tests.unit.deploy.golden import requests

TOML = Path(__file__).parents[3] / "deploy.toml"
Golden = Callable[..., None]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")


@pytest.fixture(scope="session")
def golden() -> Golden:
    """golden(name, request, contracts=(53,)): holds a request against botocore's model and its golden file."""

    def check(name: str, request: Request, *, contracts: tuple[int, ...] = ()) -> None:
        requests.check(name, request, contracts=contracts)

    return check
