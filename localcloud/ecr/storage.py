"""Reads the registry's storage on disk: repositories, tags, manifests. The registry writes it.

ECR lists manifests without a tag. The registry's API cannot, so this reads the storage's folders.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
LISTS = (DOCKER_LIST, OCI_INDEX)


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """One manifest of a repository. `size`: bytes of its compressed layers."""

    digest: str
    tags: tuple[str, ...]
    manifest: str
    media_type: str
    pushed: datetime

    @property
    def parsed(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.manifest)
        return manifest

    @property
    def size(self) -> int:
        return sum(int(layer.get("size", 0)) for layer in self.parsed.get("layers", ()))


def media_type(manifest: dict[str, Any]) -> str:
    """A manifest's media type. A manifest may omit it; then its members show what it is."""
    if "mediaType" in manifest:
        return str(manifest["mediaType"])
    parts = manifest.get("manifests", [manifest.get("config", {})])
    docker = any(str(part.get("mediaType", "")).startswith("application/vnd.docker.") for part in parts)
    if "manifests" in manifest:
        return DOCKER_LIST if docker else OCI_INDEX
    return DOCKER_MANIFEST if docker else OCI_MANIFEST


@dataclass(frozen=True, kw_only=True)
class RegistryStore:
    """`root` is the storage's v2 folder."""

    root: Path

    def images(self, repository: str) -> list[StoredImage]:
        """Every manifest of a repository, tagged or not, the newest first."""
        tags: dict[str, list[str]] = {}
        for tag in _folders(self._manifests(repository) / "tags"):
            tags.setdefault(_link(tag / "current" / "link"), []).append(tag.name)
        images = [
            self._image(link, tags.get(f"sha256:{link.parent.name}", ()))
            for link in self._manifests(repository).glob("revisions/sha256/*/link")
        ]
        return sorted(images, key=lambda image: image.pushed, reverse=True)

    def find(self, repository: str, *, tag: str = "", digest: str = "") -> StoredImage | None:
        """The image with this tag, this digest, or both; None when there is none."""
        for image in self.images(repository):
            if (not tag or tag in image.tags) and (not digest or digest == image.digest):
                return image
        return None

    def untag(self, repository: str, tag: str) -> None:
        """Delete a tag. The manifest stays."""
        shutil.rmtree(self._manifests(repository) / "tags" / tag)

    def remove(self, repository: str) -> None:
        """Delete a repository. Its blobs stay, because other repositories may share them."""
        shutil.rmtree(self._manifests(repository).parent, ignore_errors=True)

    def blob(self, digest: str) -> bytes | None:
        """A blob's content; None when it does not exist."""
        path = self._blob(digest)
        return path.read_bytes() if path.is_file() else None

    def _image(self, link: Path, tags: Iterable[str]) -> StoredImage:
        digest = f"sha256:{link.parent.name}"
        text = self._blob(digest).read_text()
        pushed = datetime.fromtimestamp(link.stat().st_mtime, tz=UTC)
        return StoredImage(
            digest=digest,
            tags=tuple(sorted(tags)),
            manifest=text,
            media_type=media_type(json.loads(text)),
            pushed=pushed,
        )

    def _manifests(self, repository: str) -> Path:
        return self.root / "repositories" / repository / "_manifests"

    def _blob(self, digest: str) -> Path:
        value = digest.removeprefix("sha256:")
        return self.root / "blobs" / "sha256" / value[:2] / value / "data"


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if (each / "current" / "link").is_file()] if path.is_dir() else []


def _link(path: Path) -> str:
    return path.read_text().strip()
