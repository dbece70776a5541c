"""What the deploy tests share: settings, and the golden files of every request that the product can make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.config.settings import Settings, choose, parse
from tests.unit.deploy.golden import requests

TOML = Path(__file__).parents[3] / "deploy.toml"
Golden = Callable[..., None]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")


@pytest.fixture(scope="session")
def golden() -> Golden:
    """golden(case, request, rules=(53,)): checks a request against botocore's model and its golden file."""
    return requests.check
