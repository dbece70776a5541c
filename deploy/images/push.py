"""Sends an image of the local engine to a registry: what is there is not sent again, and layers go side by side."""

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
from deploy.images.compression import KnownLayers, Packing
from deploy.images.layers import Layers, diff_ids
from deploy.images.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, Blob, Manifest, digest_of, docker_manifest
from deploy.images.registry import Registry

Progress = Callable[[int, int], None]
AT_ONCE = 4


class UnreadableLayersError(Exception):
    """This way to the engine's layers does not give what the image names."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where an image goes."""

    registry: Registry
    repository: str
    tag: str


@dataclass(kw_only=True)
class Tally:
    """Bytes done of how many, told to `progress` from any thread."""

    total: int
    progress: Progress
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, size: int) -> None:
        with self.lock:
            self.done = min(self.total, self.done + size)
            self.progress(self.done // 10**6, self.total // 10**6)


class Images(Protocol):
    """The engine's images; tests hold an in-memory one."""

    def inspect(self, reference: str) -> Mapping[str, Any]: ...
    def ways(self, reference: str) -> AbstractContextManager[Iterator[Layers]]: ...


@dataclass(frozen=True, kw_only=True)
class Pusher:
    """`known` remembers packed layers between pushes."""

    engine: Images
    known: KnownLayers

    def facts(self, reference: str) -> Facts:
        """What the gate asks of an image before it is pushed, under the manifest that `send` will write."""
        found = self.engine.inspect(reference)
        config = {"os": found["Os"], "architecture": found["Architecture"], "config": found["Config"]}
        return facts(DOCKER_MANIFEST, config, int(found["Size"]))

    def send(self, reference: str, target: Target, *, progress: Progress) -> Manifest:
        """Returns the manifest that now has the tag. Raises PushError."""
        size = int(self.engine.inspect(reference)["Size"])
        with self.engine.ways(reference) as ways:
            for layers in ways:
                tally = Tally(total=max(1, size), progress=progress)
                try:
                    blobs = self._layers(layers, target, tally)
                except UnreadableLayersError:
                    continue  # the next way
                tally.add(size)
                return _finish(layers.config, blobs, target)
        raise PushError(f"{reference}: its layers cannot be read; does `docker save {reference}` work here?")

    def _layers(self, layers: Layers, target: Target, tally: Tally) -> list[Blob]:
        with ThreadPoolExecutor(min(AT_ONCE, 2 * (os.cpu_count() or 1))) as pool:
            count = len(diff_ids(layers.config))
            return list(pool.map(lambda number: self._layer(layers, number, target, tally), range(count)))

    def _layer(self, layers: Layers, number: int, target: Target, tally: Tally) -> Blob:
        diff_id = diff_ids(layers.config)[number]
        known = self.known.get(diff_id)
        if known is not None and target.registry.has(target.repository, known.digest):
            return known
        tries: list[Packing] = []

        def pieces() -> Iterator[bytes]:
            tries.append(Packing(plain=_read(layers, number), heard=tally.add))
            return iter(tries[-1])

        def digest() -> str:
            if tries[-1].diff_id != diff_id:
                raise UnreadableLayersError(diff_id)
            return tries[-1].blob.digest

        target.registry.upload(target.repository, pieces, digest)
        self.known.put(diff_id, tries[-1].blob)
        return tries[-1].blob


def _read(layers: Layers, number: int) -> Iterator[bytes]:
    """A layer's tar. What fails here is no fault of the connection that it is sent by."""
    try:
        yield from layers.layer(number)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableLayersError(str(error)) from error


def _finish(config: bytes, layers: list[Blob], target: Target) -> Manifest:
    """The configuration and the manifest go last, so that an image which has its tag is whole."""
    blob = Blob(media_type=DOCKER_CONFIG, digest=digest_of(config), size=len(config))
    registry, repository = target.registry, target.repository
    if not registry.has(repository, blob.digest):
        registry.upload(repository, lambda: iter([config]), lambda: blob.digest)
    manifest = docker_manifest(blob, layers)
    registry.put(repository, target.tag, manifest)
    return manifest


def seen(registry: Registry, repository: str, manifest: Manifest) -> Facts:
    """What the gate asks of an image that lies in a registry."""
    if manifest.is_index:
        return Facts(media_type=manifest.media_type)
    config: Mapping[str, Any] = json.loads(registry.blob(repository, manifest.config.digest))
    return facts(manifest.media_type, config, sum(layer.size for layer in manifest.layers))
