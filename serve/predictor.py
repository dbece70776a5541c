"""The model in memory: reads and checks the artifact and opens its network in an engine. Knows nothing of HTTP.

The serving image ships engines for CPUs only.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
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
from serve import engine_choice


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A loaded model. `network` computes one inference on `threads` CPUs; `reason` says why this engine was chosen."""

    manifest: Manifest
    network: Network
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
        """The name of the artifact's file that the network was opened from."""
        return self.network.engine.network

    def logits(self, pictures: FloatArray) -> FloatArray:
        """Logits float32 (N, labels) for pictures float32 (N, 3, crop, crop)."""
        return self.network.logits(pictures)

    def warm(self) -> None:
        """Runs the decoders and the network once, so that the first caller need not wait. Raises ArtifactError."""
        crop = self.preprocessing.crop
        for image_format in ("JPEG", "PNG", "WEBP"):
            stream = io.BytesIO()
            Image.new("RGB", (crop, crop)).save(stream, image_format)
            to_array(open_picture(stream.getvalue(), shorter_side=crop), self.preprocessing)
        self._try_out(self.network)

    def streams(self) -> Network | None:
        """The network opened again, warm, for `threads` inferences side by side on one thread each; None with one CPU.
        Raises ArtifactError."""
        if self.threads == 1:
            return None
        try:
            opened = self.network.streams(self.threads)
        except EngineError as error:
            raise ArtifactError(str(error)) from error
        self._try_out(opened)
        return opened

    def _try_out(self, network: Network) -> None:
        crop = self.preprocessing.crop
        for count in (1, 2):
            values = network.logits(np.zeros((count, 3, crop, crop), dtype=np.float32))
            if values.shape != (count, len(self.labels)):
                expected = f"{count} pictures and {len(self.labels)} labels"
                raise ArtifactError(f"{self.file}: gives logits of shape {values.shape} for {expected}")
            if not np.isfinite(values).all():
                raise ArtifactError(f"{self.file}: gives logits that are not finite; train again")

    def card(self) -> dict[str, Any]:
        """The model's description for GET /model."""
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
        """The short description of the model in every answer."""
        return {
            "architecture": self.manifest.architecture,
            "created": self.manifest.provenance.created,
            "network_sha256": self.manifest.files.get(self.file, "")[:12],
        }


def load(folder: Path, machine: Machine, *, engine_name: str = engine_choice.AUTO) -> Predictor:
    """Reads and checks the artifact in `folder` and opens it with the best engine for `machine`, or with `engine_name`.

    Files that serving does not need, such as the weights, are not read: they may be most of the artifact. Raises
    ArtifactError when the artifact cannot be served.
    """
    manifest = artifact.read(folder, whole=False)

    def open_verified(source: Path, engine: Engine, *, threads: int) -> Network:
        artifact.verify(folder, manifest, source.name)
        return open_network(source, engine, threads=threads)

    network, reason = engine_choice.choose_network(folder, manifest, machine, engine_name, open_network=open_verified)
    predictor = Predictor(
        manifest=manifest,
        network=network,
        threads=machine.threads,
        reason=reason,
        golden=_golden(folder, manifest),
    )
    check_shapes(predictor)
    return predictor


def _golden(folder: Path, manifest: Manifest) -> tuple[Golden, ...]:
    if golden.FILE not in manifest.files:
        return ()
    artifact.verify(folder, manifest, golden.FILE)
    try:
        return golden.loads((folder / golden.FILE).read_bytes(), where=str(folder / golden.FILE))
    except golden.GoldenError as error:
        raise ArtifactError(str(error)) from error


def check_shapes(predictor: Predictor) -> None:
    """Compares the network's input and output shapes with model.json. Raises ArtifactError."""
    try:
        predictor.network.check_shapes(crop=predictor.preprocessing.crop, labels=len(predictor.labels))
    except EngineError as error:
        raise ArtifactError(f"{predictor.file}: {error}") from error
