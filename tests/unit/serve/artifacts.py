"""A tiny artifact: its manifest, and its files on disk. Needs nothing that only the serving image has."""

from __future__ import annotations

from pathlib import Path

from contract import artifact
from contract.artifact import Manifest, Provenance
from contract.preprocess import Preprocessing
from tests.unit.serve.onnx_bytes import network

CROP = 32
LABELS = ("red", "green", "blue")


def manifest(labels: tuple[str, ...] = LABELS, crop: int = CROP) -> Manifest:
    return Manifest(
        architecture="colours",
        labels=labels,
        preprocessing=Preprocessing(resize=crop, crop=crop),
        metrics={"valid_top1": 0.75},
        provenance=Provenance(created="2026-01-01T00:00:00Z"),
        files={"model.onnx": "ab" * 32},
    )


def write_artifact(folder: Path, *, crop: int = CROP, work: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / artifact.NETWORK).write_bytes(network(crop, work=work))
    (folder / artifact.WEIGHTS).write_bytes(b"\0" * 8)
    artifact.write(folder, manifest(crop=crop))
    return folder
