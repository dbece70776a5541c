"""An asynchronous endpoint from deploy.toml to an answer, with Kennel's own serving image."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy.errors import DeployError
from deploy.verbs.deploy import deploy
from deploy.verbs.invoke import invoke_endpoint
from localcloud import daemon
from tests.container.deploy.bed import Bed, make

pytestmark = pytest.mark.timeout(240)
TOML = """
[project]
name = "later"
[endpoints.bulk]
kind = "async"
async_concurrency = 2
[endpoints.bulk.autoscaling]
min = 0
max = 2
metric = "backlog"
target = 2
"""


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("async")
    status = daemon.start_background(port=0, state_dir=folder / "localcloud")
    try:
        yield make(status.endpoint_url, TOML, folder / "model")
    finally:
        daemon.stop(folder / "localcloud")


def test_an_asynchronous_endpoint_is_deployed_asked_and_changed_by_no_second_deploy(bed: Bed, tmp_path: Path) -> None:
    said = io.StringIO()
    session = bed.session(said)
    deploy(session)
    picture, broken = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.new("RGB", (40, 40), (200, 90, 10)).save(picture)
    broken.write_bytes(b"this is no picture")
    answer = invoke_endpoint(session, "bulk", picture)
    assert 0 < answer["predictions"][0]["probability"] <= 1
    assert "waits in its queue" in said.getvalue()
    with pytest.raises(DeployError, match="Received client error \\(422\\)"):
        invoke_endpoint(session, "bulk", broken)
    assert deploy(bed.session()) == ()
