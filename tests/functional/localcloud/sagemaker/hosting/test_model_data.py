"""What fills /opt/ml/model, with real archives on disk."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from localcloud.sagemaker.hosting.model_data import ModelDataError, fill
from tests.unit.localcloud.fakes import FakeObjects


def archive(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def link(name: str, target: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        made.addfile(entry)
    return packed.getvalue()


def objects(**content: bytes) -> FakeObjects:
    made = FakeObjects("m")
    for key, value in content.items():
        made.content["m", key] = value
    return made


def source(uri: str, kind: str, compression: str) -> dict[str, Any]:
    return {"ModelDataSource": {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression}}}


def found(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_an_archive_is_extracted_and_itself_removed(tmp_path: Path) -> None:
    stored = objects(**{"a/model.tar.gz": archive(**{"model.json": "{}", "deep/labels": "x"})})
    fill({"ModelDataUrl": "s3://m/a/model.tar.gz"}, stored, tmp_path / "model")
    assert found(tmp_path / "model") == {"model.json": "{}", "deep/labels": "x"}


def test_a_prefix_is_copied_as_it_stands(tmp_path: Path) -> None:
    stored = objects(**{"p/model.json": b"{}", "p/deep/labels": b"x", "other": b"y"})
    fill(source("s3://m/p/", "S3Prefix", "None"), stored, tmp_path / "model")
    assert found(tmp_path / "model") == {"model.json": "{}", "deep/labels": "x"}


def test_a_compressed_object_is_extracted(tmp_path: Path) -> None:
    stored = objects(**{"p/any-name": archive(weights="1")})
    fill(source("s3://m/p/any-name", "S3Object", "Gzip"), stored, tmp_path / "model")
    assert found(tmp_path / "model") == {"weights": "1"}


def test_no_model_data_is_an_empty_folder(tmp_path: Path) -> None:
    fill({}, objects(), tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [archive(**{"../escape": "x"}), archive(**{"a/../../escape": "x"}), link("door", "/etc"), b"no archive", b""],
    ids=["above", "above-by-detour", "link-outside", "text", "empty"],
)
def test_an_archive_that_leads_outside_or_is_none_fails_with_sagemakers_words(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelDataError, match="Failed to extract model data archive"):
        fill({"ModelDataUrl": "s3://m/a.tar.gz"}, objects(**{"a.tar.gz": content}), tmp_path / "model")
    assert not (tmp_path / "escape").exists()


def test_a_key_that_leads_outside_is_not_downloaded(tmp_path: Path) -> None:
    stored = objects(**{"p/../../escape": b"x"})
    with pytest.raises(ModelDataError, match="Failed to download model data"):
        fill(source("s3://m/p/", "S3Prefix", "None"), stored, tmp_path / "model")
    assert not (tmp_path / "escape").exists()
    with pytest.raises(ModelDataError, match="no object there"):
        fill(source("s3://m/none/", "S3Prefix", "None"), stored, tmp_path / "other")
