"""The model in memory: the artifact read and checked, the network in ONNX Runtime. Knows nothing of HTTP.

The serving image ships ONNX Runtime for CPU only.
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
from contract.golden import Golden
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A loaded model. `session` is an onnxruntime.InferenceSession; running it releases the GIL."""

    manifest: Manifest
    session: Any
    golden: tuple[Golden, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def preprocessing(self) -> Preprocessing:
        return self.manifest.preprocessing

    def logits(self, pictures: FloatArray) -> FloatArray:
        """Logits float32 (N, labels) for pictures float32 (N, 3, crop, crop)."""
        (values,) = self.session.run([artifact.OUTPUT_NAME], {artifact.INPUT_NAME: pictures})
        return np.asarray(values, dtype=np.float32)

    def warm(self, batch: int = 2) -> None:
        """Runs decoder and network once, so that the first caller does not pay. Raises ArtifactError."""
        crop = self.preprocessing.crop
        for kind in ("JPEG", "PNG", "WEBP"):
            stream = io.BytesIO()
            Image.new("RGB", (crop, crop)).save(stream, kind)
            to_array(open_picture(stream.getvalue(), shorter_side=crop), self.preprocessing)
        for count in (1, batch):
            values = self.logits(np.zeros((count, 3, crop, crop), dtype=np.float32))
            if values.shape != (count, len(self.labels)):
                raise ArtifactError(
                    f"{artifact.NETWORK}: {values.shape} logits for {count} pictures and {len(self.labels)} labels"
                )
            if not np.isfinite(values).all():
                raise ArtifactError(f"{artifact.NETWORK}: gives numbers that are not finite; train again")

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
            "network_sha256": manifest.files.get(artifact.NETWORK, ""),
        }

    def name(self) -> dict[str, Any]:
        """What every answer tells of the model, short."""
        return {
            "architecture": self.manifest.architecture,
            "created": self.manifest.provenance.created,
            "network_sha256": self.manifest.files.get(artifact.NETWORK, "")[:12],
        }


def load(folder: Path, *, threads: int) -> Predictor:
    """Reads, checks and opens the artifact in `folder`. Raises ArtifactError for one that cannot be served."""
    manifest = artifact.read(folder)
    session = open_session(str(folder / artifact.NETWORK), threads=threads)
    predictor = Predictor(manifest=manifest, session=session, golden=_golden(folder, manifest))
    check_shapes(predictor)
    return predictor


def _golden(folder: Path, manifest: Manifest) -> tuple[Golden, ...]:
    if golden.FILE not in manifest.files:
        return ()
    try:
        return golden.loads((folder / golden.FILE).read_bytes(), where=str(folder / golden.FILE))
    except golden.GoldenError as error:
        raise ArtifactError(str(error)) from error


def open_session(network: str | bytes, *, threads: int) -> Any:
    """An ONNX Runtime session on `threads` CPU threads, from a path or the network's bytes. Raises ArtifactError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: decoders want the CPUs they would spin on (ResNet-18 beside other work: 75, not 105 ms).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen unrelated exception types, all meaning that it refuses
        where = network if isinstance(network, str) else artifact.NETWORK
        raise ArtifactError(f"{where}: ONNX Runtime refuses it: {_one_line(error)}") from error


def check_shapes(predictor: Predictor) -> None:
    """Holds the network's input and output against model.json. Raises ArtifactError."""
    crop, count = predictor.preprocessing.crop, len(predictor.labels)
    _check(predictor.session.get_inputs(), artifact.INPUT_NAME, (3, crop, crop), "preprocessing's crop")
    _check(predictor.session.get_outputs(), artifact.OUTPUT_NAME, (count,), "the number of labels")


def _check(nodes: list[Any], name: str, shape: tuple[int, ...], source: str) -> None:
    found = [(node.name, node.type, tuple(node.shape)) for node in nodes]
    wanted = f"{name} float (N, {', '.join(map(str, shape))}) by {source}"
    where = f"{artifact.NETWORK}: has {found}, but {artifact.MANIFEST} needs {wanted}; train or export again"
    if len(found) != 1 or found[0][:2] != (name, "tensor(float)"):
        raise ArtifactError(where)
    first, *rest = found[0][2]
    if isinstance(first, int):
        raise ArtifactError(f"{artifact.NETWORK}: takes exactly {first} pictures; export it with a free batch size")
    if len(rest) != len(shape) or any(
        isinstance(have, int) and have != need for have, need in zip(rest, shape, strict=True)
    ):
        raise ArtifactError(where)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
