"""Manifests: what is read, what is made, and what a repair changes and leaves."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from deploy.errors import ImageRefusedError
from deploy.images import manifest
from deploy.images.layers import chain_ids, diff_ids
from deploy.images.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Blob,
)


def oci(layer: str = OCI_LAYER) -> bytes:
    value = {
        "schemaVersion": 2,
        "config": {"mediaType": OCI_CONFIG, "digest": "sha256:c", "size": 1},
        "layers": [{"mediaType": layer, "digest": f"sha256:{each}", "size": each} for each in (1, 2)],
    }
    return json.dumps(value).encode()


def index(*platforms: str) -> bytes:
    entries = [
        {"digest": f"sha256:{number}", "platform": dict(zip(("os", "architecture"), each.split("/"), strict=True))}
        for number, each in enumerate(platforms)
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def test_a_manifest_is_named_by_the_hash_of_its_exact_bytes() -> None:
    image = manifest.read(oci())
    assert image.digest == f"sha256:{hashlib.sha256(oci()).hexdigest()}"
    assert image.config.digest == "sha256:c"
    assert [layer.size for layer in image.layers] == [1, 2]


@pytest.mark.parametrize(
    ("text", "sent_as", "media_type"),
    [
        (oci(), "", OCI_MANIFEST),
        (oci(), f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (index("linux/amd64"), "text/plain", OCI_INDEX),
        (b'{"manifests": []}', "", OCI_INDEX),
    ],
)
def test_the_media_type_comes_from_the_text_or_the_header_or_the_shape(
    text: bytes, sent_as: str, media_type: str
) -> None:
    assert manifest.read(text, sent_as).media_type == media_type


def test_a_repair_changes_the_names_of_types_and_nothing_else() -> None:
    before, after = manifest.read(oci()), manifest.repaired(manifest.read(oci()))
    assert after.media_type == json.loads(after.text)["mediaType"] == DOCKER_MANIFEST
    assert after.config == Blob(media_type=DOCKER_CONFIG, digest=before.config.digest, size=1)
    assert [layer.media_type for layer in after.layers] == [DOCKER_LAYER, DOCKER_LAYER]
    assert [layer.digest for layer in after.layers] == [layer.digest for layer in before.layers]


def test_a_repair_of_a_good_manifest_names_the_same_layers() -> None:
    good = manifest.repaired(manifest.read(oci()))
    assert manifest.repaired(good).digest == good.digest


@pytest.mark.parametrize("kind", ["tar+zstd", "tar"])
def test_layers_that_dockers_manifest_cannot_name_are_refused_with_the_fix(kind: str) -> None:
    text = oci(layer=f"application/vnd.oci.image.layer.v1.{kind}")
    with pytest.raises(ImageRefusedError, match="build the image with gzip layers"):
        manifest.repaired(manifest.read(text))


def test_an_index_gives_the_one_image_of_the_platform() -> None:
    several = manifest.read(index("linux/arm64", "linux/amd64", "unknown/unknown"))
    assert several.is_index
    assert several.entry("linux/amd64") == "sha256:1"
    with pytest.raises(ImageRefusedError, match=r"has 0 images for linux/s390x; .*linux/arm64"):
        several.entry("linux/s390x")
    with pytest.raises(ImageRefusedError, match="has 2 images"):
        manifest.read(index("linux/amd64", "linux/amd64")).entry("linux/amd64")
    with pytest.raises(ImageRefusedError, match="is an index"):
        manifest.repaired(several)


def test_the_engines_names_of_layers_follow_from_their_hashes() -> None:
    """As the OCI image specification defines ChainID."""
    config: Any = json.dumps({"rootfs": {"diff_ids": ["sha256:a", "sha256:b", "sha256:c"]}}).encode()
    assert diff_ids(config) == ("sha256:a", "sha256:b", "sha256:c")
    second = hashlib.sha256(b"sha256:a sha256:b").hexdigest()
    third = hashlib.sha256(f"sha256:{second} sha256:c".encode()).hexdigest()
    assert chain_ids(config) == ("sha256:a", f"sha256:{second}", f"sha256:{third}")
