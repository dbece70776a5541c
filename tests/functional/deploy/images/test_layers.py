"""Layers read from an engine's store and from a file of `docker save`, both fakes; and their compression."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.errors import PushError
from deploy.images.compression import LayerCache, LayerCompressor
from deploy.images.layers import Engine, SavedImage, StoredImage, hashed, stored_image
from deploy.images.manifest import DOCKER_LAYER, Blob, digest_of

LAYER = b"HEAD" + b"content of a" + b"PAD" + b"content of b" + b"END"
CONFIG = json.dumps({"rootfs": {"diff_ids": [digest_of(LAYER)]}}).encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with one image of one layer, as an engine with overlay2 keeps it."""
    images = tmp_path / "image" / "overlay2"
    chain = images / "layerdb" / "sha256" / digest_of(LAYER).removeprefix("sha256:")
    content = images / "imagedb" / "content" / "sha256"
    files = tmp_path / "overlay2" / "cache-1" / "diff"
    for folder in (chain, content, files / "etc"):
        folder.mkdir(parents=True)
    (content / digest_of(CONFIG).removeprefix("sha256:")).write_bytes(CONFIG)
    (chain / "cache-id").write_text("cache-1")
    (files / "etc" / "a").write_bytes(b"content of a")
    (files / os.fsdecode(b"b\xff")).write_bytes(b"content of b")
    entries = [
        {"type": 2, "payload": base64.b64encode(b"HEAD").decode()},
        {"type": 1, "name": "etc/a", "size": 12},
        {"type": 1, "name": "etc/empty"},
        {"type": 2, "payload": base64.b64encode(b"PAD").decode()},
        {"type": 1, "name_raw": base64.b64encode(b"b\xff").decode(), "size": 12},
        {"type": 2, "payload": base64.b64encode(b"END").decode()},
    ]
    with gzip.open(chain / "tar-split.json.gz", "wt") as file:
        file.write("\n".join(json.dumps(line) for line in entries))
    return tmp_path


def test_a_layer_of_the_store_is_read_byte_for_byte(root: Path) -> None:
    image = stored_image(root, digest_of(CONFIG))
    assert image is not None
    assert image.config == CONFIG
    assert b"".join(image.layer(0)) == LAYER
    assert hashed(image.layer(0)) == digest_of(LAYER)


def test_an_incomplete_or_missing_store_is_not_used(root: Path) -> None:
    assert stored_image(root, digest_of(b"another")) is None
    assert stored_image(root / "nowhere", digest_of(CONFIG)) is None
    next(root.glob("image/overlay2/layerdb/sha256/*/tar-split.json.gz")).unlink()
    assert stored_image(root, digest_of(CONFIG)) is None


def _save(path: Path, layer: bytes) -> None:
    described = [{"Config": "config.json", "Layers": ["one/layer.tar"]}]
    files = {"one/layer.tar": layer, "config.json": CONFIG, "manifest.json": json.dumps(described).encode()}
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("written", [LAYER, gzip.compress(LAYER)], ids=["plain", "compressed by a newer engine"])
def test_a_file_of_docker_save_gives_the_plain_layers(tmp_path: Path, written: bytes) -> None:
    _save(tmp_path / "image.tar", written)
    image = SavedImage(path=tmp_path / "image.tar")
    assert image.config == CONFIG
    assert b"".join(image.layer(0)) == LAYER


class Docker:
    """A docker client whose engine has its store at `root`; `docker save` writes the same image."""

    def __init__(self, root: Path, driver: str = "overlay2") -> None:
        self.root, self.driver, self.saves = root, driver, 0

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        if command[1] == "info":
            return 0, f"{self.driver} {self.root}\n"
        if command[1] == "save":
            self.saves += 1
            _save(Path(command[3]), LAYER)
            return 0, ""
        return (1, "no such image") if command[-1] == "gone" else (0, json.dumps([{"Id": digest_of(CONFIG)}]))


def test_the_store_is_read_first_and_docker_save_runs_only_if_needed(root: Path, tmp_path: Path) -> None:
    docker = Docker(root)
    with Engine(run=docker, scratch=tmp_path).ways("x") as ways:
        assert isinstance(next(ways), StoredImage)
        assert docker.saves == 0
        assert isinstance(next(ways), SavedImage)
    assert docker.saves == 1
    assert list(tmp_path.glob("kennel-save-*")) == []


def test_an_engine_with_another_driver_uses_docker_save(root: Path, tmp_path: Path) -> None:
    with Engine(run=Docker(root, driver="overlayfs"), scratch=tmp_path).ways("x") as ways:
        assert isinstance(next(ways), SavedImage)


def test_for_a_missing_image_the_error_says_to_build_it(root: Path) -> None:
    with pytest.raises(PushError, match=r"gone: .* run \./inv build"):
        Engine(run=Docker(root)).inspect("gone")


def _in(size: int, content: bytes) -> Iterator[bytes]:
    return (content[first : first + size] for first in range(0, len(content), size))


def test_a_layer_compresses_to_the_same_bytes_however_it_was_read() -> None:
    content = b"".join(hashlib.sha256(bytes([number % 251])).digest() for number in range(100_000))
    compressors = [LayerCompressor(plain=_in(size, content)) for size in (1 << 20, 4096, 77_777)]
    compressed = [b"".join(compressor) for compressor in compressors]
    assert compressed[0] == compressed[1] == compressed[2]
    assert gzip.decompress(compressed[0]) == content
    assert compressors[0].diff_id == digest_of(content)
    assert (compressors[0].blob.digest, compressors[0].blob.size) == (digest_of(compressed[0]), len(compressed[0]))


def test_the_layer_cache_survives_and_ignores_a_damaged_file(tmp_path: Path) -> None:
    known, blob = LayerCache(folder=tmp_path / "layers"), Blob(media_type=DOCKER_LAYER, digest="sha256:d", size=7)
    assert known.get("sha256:a") is None
    known.put("sha256:a", blob)
    assert LayerCache(folder=tmp_path / "layers").get("sha256:a") == blob
    (tmp_path / "layers" / "a.json").write_text("{")
    assert known.get("sha256:a") is None
