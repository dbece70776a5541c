"""The tools of the IAM proof, installed once a test run."""

from __future__ import annotations

import pytest

from deploy.config.settings import Settings, choose, parse
from tests.functional.deploy.iam.simulator import Simulator
from tests.functional.deploy.iam.tools import Tools, install
from tests.unit.deploy.conftest import TOML


@pytest.fixture(scope="session")
def tools() -> Tools:
    return install()


@pytest.fixture(scope="session")
def simulator(tools: Tools) -> Simulator:
    return Simulator(tools)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")
