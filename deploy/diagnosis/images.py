"""Looks at an image by the name that AWS was told: in ECR, or where it is the engine's own, in the engine here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.aws.client import lookup
from deploy.diagnosis.facts import ImageSeen
from deploy.errors import DeployError
from deploy.images import checks, cuda, pushed
from deploy.images.manifest import DOCKER_MANIFEST, Manifest, read
from deploy.images.registry import Registry
from deploy.values import Call


class Engine(Protocol):
    """What tells of the images of this machine. Raises DeployError for one that it does not hold."""

    def inspect(self, reference: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class ImageInspector:
    """`engine` holds what was built here, `registry` what was pushed."""

    call: Call
    engine: Engine
    registry: Registry

    def look(self, uri: str, consumer: checks.Consumer) -> ImageSeen:
        """The image, or that it is nowhere. What cannot be looked at is as good as well: no rule may fire on it."""
        repository, name = split(uri)
        seen = self._pushed(repository, name) if repository else self._built(uri)
        if seen is None:
            return ImageSeen(uri=uri, consumer=consumer, gate=None)
        facts, labels = seen
        return ImageSeen(uri=uri, consumer=consumer, gate=facts, cuda=labels.get(cuda.LABEL, ""))

    def _built(self, reference: str) -> tuple[checks.Facts, Mapping[str, str]] | None:
        try:
            found = self.engine.inspect(reference)
        except DeployError:
            return None
        config = {"os": found["Os"], "architecture": found["Architecture"], "config": found["Config"]}
        return checks.facts(DOCKER_MANIFEST, config, int(found["Size"])), found["Config"].get("Labels") or {}

    def _pushed(self, repository: str, name: Mapping[str, str]) -> tuple[checks.Facts, Mapping[str, str]] | None:
        answer = lookup(self.call, pushed.get_images(repository, [dict(name)])) or {}
        for image in answer.get("images", ()):
            found = read(str(image["imageManifest"]).encode(), str(image.get("imageManifestMediaType", "")))
            config = self._config(repository, found)
            size = sum(layer.size for layer in found.layers)
            return checks.facts(found.media_type, config, size), (config.get("config") or {}).get("Labels") or {}
        return None

    def _config(self, repository: str, found: Manifest) -> Mapping[str, Any]:
        if found.is_index:
            return {}
        config: Mapping[str, Any] = json.loads(self.registry.blob(repository, found.config.digest))
        return config


def split(uri: str) -> tuple[str, dict[str, str]]:
    """A registry's repository and BatchGetImage's id of an image; ("", {}) for the engine's own name."""
    host, _, rest = uri.partition("/")
    if not rest or not {".", ":"} & set(host):
        return "", {}
    if "@" in rest:
        repository, _, digest = rest.partition("@")
        return repository, {"imageDigest": digest}
    repository, _, tag = rest.partition(":")
    return repository, {"imageTag": tag or "latest"}
