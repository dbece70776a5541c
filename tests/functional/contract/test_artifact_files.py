from __future__ import annotations

from pathlib import Path

import pytest

from contract import artifact
from contract.artifact import ArtifactError, DamagedError, Manifest
from contract.preprocess import Preprocessing

MANIFEST = Manifest(architecture="resnet18", labels=("cat", "dog"), preprocessing=Preprocessing())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / artifact.WEIGHTS).write_bytes(b"weights")
    (tmp_path / artifact.NETWORK).write_bytes(b"network")
    artifact.write(tmp_path, MANIFEST)
    return tmp_path


def test_a_written_artifact_is_read_back_with_checksums(folder: Path) -> None:
    found = artifact.read(folder)
    assert (found.labels, found.architecture) == (("cat", "dog"), "resnet18")
    assert found.files[artifact.NETWORK] == artifact.sha256(folder / artifact.NETWORK)


def test_an_incomplete_artifact_is_not_written(tmp_path: Path) -> None:
    (tmp_path / artifact.WEIGHTS).write_bytes(b"weights")
    with pytest.raises(ArtifactError, match=r"model\.onnx is missing"):
        artifact.write(tmp_path, MANIFEST)
    assert not (tmp_path / artifact.MANIFEST).exists()


def test_a_changed_file_is_noticed_unless_checksums_are_not_checked(folder: Path) -> None:
    (folder / artifact.NETWORK).write_bytes(b"changed")
    with pytest.raises(ArtifactError, match=r"model\.onnx: checksum differs"):
        artifact.read(folder)
    found = artifact.read(folder, whole=False)
    artifact.verify(folder, found, artifact.WEIGHTS)
    with pytest.raises(DamagedError, match=r"model\.onnx: checksum differs"):
        artifact.verify(folder, found, artifact.NETWORK)


def test_a_missing_file_is_noticed(folder: Path) -> None:
    (folder / artifact.NETWORK).unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx: named in model\.json but missing"):
        artifact.read(folder)


def test_a_file_outside_the_folder_is_not_followed(folder: Path) -> None:
    text = (folder / artifact.MANIFEST).read_text()
    (folder / artifact.MANIFEST).write_text(text.replace('"model.onnx"', '"../model.onnx"'))
    (folder.parent / artifact.NETWORK).write_bytes(b"network")
    with pytest.raises(ArtifactError, match=r"named in model\.json but missing"):
        artifact.read(folder)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is missing"), (b"{", "cannot be read"), (b"\xff\xfe{}", "cannot be read")]
)
def test_a_manifest_that_cannot_be_read_is_a_clear_error(folder: Path, content: bytes | None, message: str) -> None:
    (folder / artifact.MANIFEST).unlink()
    if content is not None:
        (folder / artifact.MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        artifact.read(folder)
