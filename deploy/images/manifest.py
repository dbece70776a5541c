"""Reads, writes and rewrites image manifests. Pure.

SageMaker accepts Docker's v2 schema 2 only, and Lambda accepts no index (rules 26, 63). An OCI manifest differs from
Docker's in its media types only, so it can be rewritten without touching a layer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.errors import ImageRefusedError

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEXES = (DOCKER_LIST, OCI_INDEX)
ACCEPTED = (DOCKER_MANIFEST, OCI_MANIFEST, DOCKER_LIST, OCI_INDEX)
DOCKER_NAMES = {OCI_CONFIG: DOCKER_CONFIG, OCI_LAYER: DOCKER_LAYER}


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A layer or a configuration as a manifest names it; `size` is its bytes in the registry."""

    media_type: str
    digest: str
    size: int

    def described(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest's exact bytes; their hash is the digest to pull the image by."""

    text: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.text)

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES

    @property
    def config(self) -> Blob:
        return _blob(self._parsed["config"])

    @property
    def layers(self) -> tuple[Blob, ...]:
        return tuple(_blob(layer) for layer in self._parsed.get("layers", ()))

    def entry(self, platform: str) -> str:
        """The digest of an index's manifest for a platform ("linux/amd64"). Raises ImageRefusedError."""
        entries = [each for each in self._parsed.get("manifests", ()) if _platform(each) == platform]
        if len(entries) != 1:
            has = ", ".join(sorted(_platform(each) for each in self._parsed.get("manifests", ())))
            raise ImageRefusedError(
                f"{self.digest}: the index has {len(entries)} images for {platform}; its images are for {has}"
            )
        return str(entries[0]["digest"])

    @property
    def _parsed(self) -> Mapping[str, Any]:
        parsed: Mapping[str, Any] = json.loads(self.text)
        return parsed


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read(text: bytes, content_type: str = "") -> Manifest:
    """A manifest from its bytes. `content_type` counts for a manifest that does not name its media type."""
    parsed = json.loads(text)
    media_type = parsed.get("mediaType") or content_type.partition(";")[0].strip()
    return Manifest(text=text, media_type=media_type or (OCI_INDEX if "manifests" in parsed else OCI_MANIFEST))


def docker_manifest(config: Blob, layers: Sequence[Blob]) -> Manifest:
    """An image's manifest in Docker's v2 schema 2, byte for byte as docker writes it."""
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config.described(),
        "layers": [layer.described() for layer in layers],
    }
    return Manifest(text=json.dumps(value, indent=3).encode(), media_type=DOCKER_MANIFEST)


def repaired(manifest: Manifest) -> Manifest:
    """The same image with Docker's media types. Raises ImageRefusedError for an index or layers without such a type."""
    if manifest.is_index:
        raise ImageRefusedError(f"{manifest.digest}: is an index; choose one platform's image first")
    return docker_manifest(_renamed(manifest.config), [_renamed(layer) for layer in manifest.layers])


def _renamed(blob: Blob) -> Blob:
    name = DOCKER_NAMES.get(blob.media_type, blob.media_type)
    if name not in (DOCKER_CONFIG, DOCKER_LAYER):
        raise ImageRefusedError(
            f"{blob.digest}: {blob.media_type} has no equivalent in Docker's manifest; build the image with gzip layers"
        )
    return Blob(media_type=name, digest=blob.digest, size=blob.size)


def _blob(value: Mapping[str, Any]) -> Blob:
    return Blob(media_type=str(value["mediaType"]), digest=str(value["digest"]), size=int(value["size"]))


def _platform(entry: Mapping[str, Any]) -> str:
    platform = entry.get("platform") or {}
    return f"{platform.get('os', '?')}/{platform.get('architecture', '?')}"
