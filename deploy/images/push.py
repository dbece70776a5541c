"""Sends an image of the local engine to a registry: several layers at once, and only those that are missing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from deploy.errors import PushError
from deploy.images.checks import Facts, facts
from deploy.images.compression import LayerCache, LayerCompressor
from deploy.images.layers import Layers, diff_ids
from deploy.images.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, Blob, Manifest, digest_of, docker_manifest
from deploy.images.registry import Registry

Progress = Callable[[int, int], None]
AT_ONCE = 4


class UnreadableLayersError(Exception):
    """This way to read the engine's layers fails, or its bytes do not match the image's hashes."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The repository and tag to push an image to."""

    registry: Registry
    repository: str
    tag: str


@dataclass(kw_only=True)
class Tally:
    """Counts bytes from any thread and reports megabytes to `progress`."""

    total: int
    progress: Progress
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int) -> None:
        with self.lock:
            self.done = min(self.total, self.done + size)
            self.progress(self.done // 10**6, self.total // 10**6)


class Images(Protocol):
    """The engine's images; tests use a fake in memory."""

    def inspect(self, reference: str) -> Mapping[str, Any]: ...
    def ways(self, reference: str) -> AbstractContextManager[Iterator[Layers]]: ...


@dataclass(frozen=True, kw_only=True)
class Pusher:
    """Pushes images of `engine`. `known` remembers compressed layers between pushes."""

    engine: Images
    known: LayerCache

    def facts(self, reference: str) -> Facts:
        """The properties to check before the push, with the manifest that `send` will write."""
        image = self.engine.inspect(reference)
        config = {"os": image["Os"], "architecture": image["Architecture"], "config": image["Config"]}
        return facts(DOCKER_MANIFEST, config, int(image["Size"]))

    def send(self, reference: str, target: Target, *, progress: Progress) -> Manifest:
        """Pushes an image; returns the manifest that now has the tag. Raises PushError."""
        size = int(self.engine.inspect(reference)["Size"])
        with self.engine.ways(reference) as ways:
            for layers in ways:
                tally = Tally(total=max(1, size), progress=progress)
                try:
                    blobs = self._layers(layers, target, tally)
                except UnreadableLayersError:
                    continue  # try the next way
                tally.add(size)
                return _finish(layers.config, blobs, target)
        raise PushError(f"{reference}: cannot read its layers; check that `docker save {reference}` works")

    def _layers(self, layers: Layers, target: Target, tally: Tally) -> list[Blob]:
        with ThreadPoolExecutor(min(AT_ONCE, 2 * (os.cpu_count() or 1))) as pool:
            count = len(diff_ids(layers.config))
            return list(pool.map(lambda number: self._layer(layers, number, target, tally), range(count)))

    def _layer(self, layers: Layers, number: int, target: Target, tally: Tally) -> Blob:
        diff_id = diff_ids(layers.config)[number]
        known = self.known.get(diff_id)
        if known is not None and target.registry.has(target.repository, known.digest):
            return known
        tries: list[LayerCompressor] = []

        def pieces() -> Iterator[bytes]:
            tries.append(LayerCompressor(plain=_read(layers, number), on_bytes=tally.add))
            return iter(tries[-1])

        def digest() -> str:
            if tries[-1].diff_id != diff_id:
                raise UnreadableLayersError(diff_id)
            return tries[-1].blob.digest

        target.registry.upload(target.repository, pieces, digest)
        self.known.put(diff_id, tries[-1].blob)
        return tries[-1].blob


def _read(layers: Layers, number: int) -> Iterator[bytes]:
    """A layer's tar. Its errors become UnreadableLayersError, to distinguish them from the connection's."""
    try:
        yield from layers.layer(number)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableLayersError(str(error)) from error


def _finish(config: bytes, layers: list[Blob], target: Target) -> Manifest:
    """Sends the configuration and the manifest last, so that a tag never names an incomplete image."""
    blob = Blob(media_type=DOCKER_CONFIG, digest=digest_of(config), size=len(config))
    registry, repository = target.registry, target.repository
    if not registry.has(repository, blob.digest):
        registry.upload(repository, lambda: iter([config]), lambda: blob.digest)
    manifest = docker_manifest(blob, layers)
    registry.put(repository, target.tag, manifest)
    return manifest


def registry_facts(registry: Registry, repository: str, manifest: Manifest) -> Facts:
    """The properties to check of an image in a registry."""
    if manifest.is_index:
        return Facts(media_type=manifest.media_type)
    config: Mapping[str, Any] = json.loads(registry.blob(repository, manifest.config.digest))
    return facts(manifest.media_type, config, sum(layer.size for layer in manifest.layers))
