"""The model in memory: the artifact read and checked, the network in its engine. Knows nothing of HTTP.

The serving image ships engines for CPUs only.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from contract import artifact, golden
from contract.artifact import ArtifactError, Manifest
from contract.engine import Engine, EngineError, Network, open_network
from contract.golden import Golden
from contract.machine import Machine
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array
from serve import choose


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A loaded model, and why its network runs in the engine that it does. `network` uses all CPUs for one caller,
    `streams`, where there are several CPUs, one for each of `threads` callers."""

    manifest: Manifest
    network: Network
    streams: Network | None = None
    threads: int = 1
    reason: str = ""
    golden: tuple[Golden, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def preprocessing(self) -> Preprocessing:
        return self.manifest.preprocessing

    @property
    def file(self) -> str:
        """The artifact's file that is open."""
        return self.network.engine.network

    def logits(self, pictures: FloatArray) -> FloatArray:
        """Logits float32 (N, labels) for pictures float32 (N, 3, crop, crop)."""
        return self.network.logits(pictures)

    def warm(self, batch: int = 2) -> None:
        """Runs decoder and networks once, so that the first caller does not pay. Raises ArtifactError."""
        crop = self.preprocessing.crop
        with ThreadPoolExecutor(1, thread_name_prefix="warm") as beside:
            apart = beside.submit(self.try_out, self.streams, batch) if self.streams else None
            for kind in ("JPEG", "PNG", "WEBP"):
                stream = io.BytesIO()
                Image.new("RGB", (crop, crop)).save(stream, kind)
                to_array(open_picture(stream.getvalue(), shorter_side=crop), self.preprocessing)
            self.try_out(self.network, batch)
            if apart:
                apart.result()

    def try_out(self, network: Network, batch: int = 2) -> None:
        """Runs a network on one picture and on `batch`. Raises ArtifactError when the answers have not the right shape
        or are no numbers."""
        crop = self.preprocessing.crop
        for count in (1, batch):
            values = network.logits(np.zeros((count, 3, crop, crop), dtype=np.float32))
            if values.shape != (count, len(self.labels)):
                raise ArtifactError(
                    f"{self.file}: {values.shape} logits for {count} pictures and {len(self.labels)} labels"
                )
            if not np.isfinite(values).all():
                raise ArtifactError(f"{self.file}: gives numbers that are not finite; train again")

    def card(self) -> dict[str, Any]:
        """What GET /model tells of the model."""
        manifest = self.manifest
        return {
            "architecture": manifest.architecture,
            "labels": list(manifest.labels),
            "preprocessing": manifest.preprocessing.to_dict(),
            "metrics": dict(manifest.metrics),
            "provenance": dict(manifest.provenance.__dict__),
            "format_version": manifest.format_version,
            "network_sha256": manifest.files.get(self.file, ""),
            "engine": self.network.engine.name,
            "precision": self.network.engine.precision,
            "engine_reason": self.reason,
            "serving": manifest.serving.to_dict(),
        }

    def name(self) -> dict[str, Any]:
        """What every answer tells of the model, short."""
        return {
            "architecture": self.manifest.architecture,
            "created": self.manifest.provenance.created,
            "network_sha256": self.manifest.files.get(self.file, "")[:12],
        }


def load(
    folder: Path,
    machine: Machine,
    *,
    wanted: str = choose.AUTO,
    check: Callable[[Predictor], None] = lambda _: None,
) -> Predictor:
    """Reads, checks and opens the artifact in `folder` with an engine for `machine`, or the one that is `wanted` by
    name; `check` looks at its answers while the streams are opened. Raises ArtifactError for one that cannot be served.

    What serves nothing here, weights above all, is not read: it may be most of the artifact.
    """
    manifest = artifact.read(folder, whole=False)

    def opening(source: Path, engine: Engine, *, threads: int) -> Network:
        artifact.verify(folder, manifest, source.name)
        return open_network(source, engine, threads=threads)

    network, reason = choose.network(folder, manifest, machine, wanted, opening=opening)
    golden_pictures = _golden(folder, manifest)
    found = Predictor(
        manifest=manifest, network=network, threads=machine.threads, reason=reason, golden=golden_pictures
    )
    check_shapes(found)

    def streams() -> Network | None:
        opened = choose.streams(network, machine)
        if opened:
            found.try_out(opened)
        return opened

    with ThreadPoolExecutor(1, thread_name_prefix="streams") as beside:
        apart = beside.submit(streams)
        check(found)
        return replace(found, streams=apart.result())


def _golden(folder: Path, manifest: Manifest) -> tuple[Golden, ...]:
    if golden.FILE not in manifest.files:
        return ()
    artifact.verify(folder, manifest, golden.FILE)
    try:
        return golden.loads((folder / golden.FILE).read_bytes(), where=str(folder / golden.FILE))
    except golden.GoldenError as error:
        raise ArtifactError(str(error)) from error


def check_shapes(predictor: Predictor) -> None:
    """Holds the network's input and output against model.json. Raises ArtifactError."""
    try:
        predictor.network.check_shapes(crop=predictor.preprocessing.crop, labels=len(predictor.labels))
    except EngineError as error:
        raise ArtifactError(f"{predictor.file}: {error}") from error
