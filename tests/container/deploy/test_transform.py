"""Batch transform from a folder to answers, with Kennel's own serving image on a model of random weights."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy.errors import JobError
from deploy.verbs.transform import transform
from localcloud import daemon
from tests.container.deploy.bed import Bed, make

pytestmark = pytest.mark.timeout(240)
TOML = '[project]\nname = "bulk"\n'


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("transform")
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


def test_every_picture_of_a_folder_is_answered_once(bed: Bed, tmp_path: Path) -> None:
    folder, said = pictures(tmp_path / "album", 5), io.StringIO()
    found = transform(bed.session(said), str(folder), instances=2)
    assert [each.picture for each in found.answers] == ["0.jpg", "2.jpg", "4.jpg", "sub/1.png", "sub/3.png"]
    assert found.missing == ()
    assert all(0 < each.predictions[0][1] <= 1 for each in found.answers)
    again = transform(bed.session(said), str(folder), instances=2)
    assert again == found
    assert "taken up again" in said.getvalue()


def test_a_picture_that_is_none_is_named_with_the_reason(bed: Bed, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "album", 2)
    (folder / "broken.jpg").write_bytes(b"this is no picture")
    found = transform(bed.session(), str(folder))
    assert len(found.answers) == 2
    assert found.missing == ("broken.jpg",)
    assert "ClientError" in found.reason
    assert "broken.jpg: Bad HTTP status received from algorithm: 422" in found.reason


def test_when_no_picture_is_answered_the_job_has_failed(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"this is no picture")
    with pytest.raises(JobError, match="Failed: ClientError"):
        transform(bed.session(), str(tmp_path / "broken.jpg"))
