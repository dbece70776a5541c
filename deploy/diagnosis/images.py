"""Reads the facts of an image by its URI: from ECR, or from this machine's engine for an image that was not pushed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deploy.aws.client import lookup
from deploy.diagnosis.facts import ObservedImage
from deploy.errors import DeployError
from deploy.images import checks, cuda, pushed
from deploy.images.manifest import DOCKER_MANIFEST, Manifest, read
from deploy.images.registry import Registry
from deploy.values import Call


class Engine(Protocol):
    """The engine of this machine. `inspect` raises DeployError for an image that it does not hold."""

    def inspect(self, reference: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class ImageInspector:
    """`engine` holds the images built on this machine, `registry` the pushed ones."""

    call: Call
    engine: Engine
    registry: Registry

    def look(self, uri: str, consumer: checks.Consumer) -> ObservedImage:
        """The image's facts; None in place of them when neither ECR nor the engine holds it. Raises DeployError."""
        repository, name = split(uri)
        image = self._pushed(repository, name) if repository else self._built(uri)
        if image is None:
            return ObservedImage(uri=uri, consumer=consumer, facts=None)
        facts, labels = image
        return ObservedImage(uri=uri, consumer=consumer, facts=facts, cuda=labels.get(cuda.LABEL, ""))

    def _built(self, reference: str) -> tuple[checks.Facts, Mapping[str, str]] | None:
        try:
            built = self.engine.inspect(reference)
        except DeployError:
            return None
        config = {"os": built["Os"], "architecture": built["Architecture"], "config": built["Config"]}
        return checks.facts(DOCKER_MANIFEST, config, int(built["Size"])), built["Config"].get("Labels") or {}

    def _pushed(self, repository: str, name: Mapping[str, str]) -> tuple[checks.Facts, Mapping[str, str]] | None:
        answer = lookup(self.call, pushed.get_images(repository, [dict(name)])) or {}
        for image in answer.get("images", ()):
            manifest = read(str(image["imageManifest"]).encode(), str(image.get("imageManifestMediaType", "")))
            config = self._config(repository, manifest)
            size = sum(layer.size for layer in manifest.layers)
            return checks.facts(manifest.media_type, config, size), (config.get("config") or {}).get("Labels") or {}
        return None

    def _config(self, repository: str, manifest: Manifest) -> Mapping[str, Any]:
        if manifest.is_index:
            return {}
        config: Mapping[str, Any] = json.loads(self.registry.blob(repository, manifest.config.digest))
        return config


def split(uri: str) -> tuple[str, dict[str, str]]:
    """An image's repository in a registry and its id for BatchGetImage; ("", {}) for a name of the engine."""
    host, _, rest = uri.partition("/")
    if not rest or not {".", ":"} & set(host):
        return "", {}
    if "@" in rest:
        repository, _, digest = rest.partition("@")
        return repository, {"imageDigest": digest}
    repository, _, tag = rest.partition(":")
    return repository, {"imageTag": tag or "latest"}
