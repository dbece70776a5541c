"""Ours without a model, run by its environment: all of `python -m serve` but decoding and the network.

A body is taken, checked and counted as always, a constant takes the decoded picture's place, the batcher passes it on
to a network that answers equal logits, and the answer is encoded as always.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import serve.__main__
import serve.codec
import serve.predictor
from contract import artifact
from contract.preprocess import FloatArray, Preprocessing


@dataclass(frozen=True, kw_only=True)
class Null:
    """Stands where serve.predictor.Predictor stands."""

    manifest: artifact.Manifest
    network: Any = field(default_factory=lambda: SimpleNamespace(engine="none"))
    reason: str = "a benchmark of the server alone"
    golden: tuple[Any, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def preprocessing(self) -> Preprocessing:
        return self.manifest.preprocessing

    def logits(self, pictures: FloatArray) -> FloatArray:
        return np.zeros((len(pictures), len(self.labels)), dtype=np.float32)

    def warm(self, batch: int = 2) -> None: ...

    def name(self) -> dict[str, Any]:
        return {}


def load(folder: Path, *_: Any, **__: Any) -> Null:
    return Null(manifest=artifact.read(folder, verify=False))


def main() -> int:
    picture = np.zeros((3, 224, 224), dtype=np.float32)
    serve.codec.decode = lambda *_, **__: picture
    serve.predictor.load = load  # type: ignore[assignment]
    return serve.__main__.main([], os.environ)


if __name__ == "__main__":
    sys.exit(main())
