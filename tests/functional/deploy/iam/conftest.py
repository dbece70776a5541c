"""The tools of the IAM proof, installed once a test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.config.settings import Settings, choose, parse
from localcloud.authorization import simulator as localcloud_simulator
from tests.functional.deploy.iam.simulator import Simulator
from tests.functional.deploy.iam.tools import Tools, install
from tests.unit.deploy.conftest import TOML


@pytest.fixture(scope="session")
def tools() -> Tools:
    return install()


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    process = localcloud_simulator.Simulator()
    yield Simulator(process)
    process.close()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")
