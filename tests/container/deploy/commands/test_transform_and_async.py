"""Batch transform of a folder and an asynchronous endpoint, with Kennel's own serving image."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy.commands.deploy import deploy
from deploy.commands.invoke import invoke_endpoint
from deploy.commands.transform import transform
from deploy.errors import DeployError
from localcloud import daemon
from tests.container.deploy.fixtures import StageFixture, make

pytestmark = pytest.mark.timeout(240)
TOML = """
[project]
name = "bulk"
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
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageFixture]:
    folder = tmp_path_factory.mktemp("bulk")
    status = daemon.start_background(port=0, state_dir=folder / "localcloud")
    try:
        yield make(status.endpoint_url, TOML, folder / "model")
    finally:
        daemon.stop(folder / "localcloud")


def pictures(folder: Path, count: int) -> Path:
    (folder / "sub").mkdir(parents=True)
    for index in range(count):
        name = f"sub/{index}.png" if index % 2 else f"{index}.jpg"
        Image.new("RGB", (40 + index, 40), (index * 50 % 256, 90, 10)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_every_picture_of_a_folder_is_answered_once(stage: StageFixture, tmp_path: Path) -> None:
    folder, output = pictures(tmp_path / "album", 5), io.StringIO()
    result = transform(stage.session(output), str(folder), instances=2)
    assert [each.picture for each in result.answers] == ["0.jpg", "2.jpg", "4.jpg", "sub/1.png", "sub/3.png"]
    assert result.missing == ()
    assert all(0 < each.predictions[0][1] <= 1 for each in result.answers)
    again = transform(stage.session(output), str(folder), instances=2)
    assert again == result
    assert "already completed, not started again" in output.getvalue()


def test_a_file_that_is_not_a_picture_is_named_with_the_reason(stage: StageFixture, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "album", 2)
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    result = transform(stage.session(), str(folder))
    assert len(result.answers) == 2
    assert result.missing == ("broken.jpg",)
    assert "ClientError" in result.reason
    assert "broken.jpg: Bad HTTP status received from algorithm: 422" in result.reason


def test_an_asynchronous_endpoint_is_deployed_asked_and_changed_by_no_second_deploy(
    stage: StageFixture, tmp_path: Path
) -> None:
    output = io.StringIO()
    session = stage.session(output)
    deploy(session)
    picture, broken = tmp_path / "a.jpg", tmp_path / "b.jpg"
    Image.new("RGB", (40, 40), (200, 90, 10)).save(picture)
    broken.write_bytes(b"this is no picture")
    answer = invoke_endpoint(session, "bulk", picture)
    assert 0 < answer["predictions"][0]["probability"] <= 1
    assert "will be written to s3://" in output.getvalue()
    with pytest.raises(DeployError, match="Received client error \\(422\\)"):
        invoke_endpoint(session, "bulk", broken)
    assert deploy(stage.session()) == ()
