"""A localcloud for the tests, and the base image as an image to run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images.builder import ImageBuilder
from localcloud import daemon
from localcloud.daemon import Status
from tests.container.localcloud.roles import make_roles

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def base_image() -> str:
    """An image with Python and without Kennel's code. Tests give it programs through an input channel."""
    return ImageBuilder(repository=ROOT).base()


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Status]:
    """A localcloud in the background, stopped after the module."""
    state_dir = tmp_path_factory.mktemp("localcloud")
    status = daemon.start_background(port=0, state_dir=state_dir)
    make_roles(status.endpoint_url, "train")
    yield status
    daemon.stop(state_dir)
