"""What the deploy tests share: settings, and an AWS in memory that holds what requests put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.settings import Settings, choose, parse

TOML = Path(__file__).parents[3] / "deploy.toml"


@pytest.fixture(scope="session")
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")
