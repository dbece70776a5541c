"""Quantises a network to 8-bit integers with ONNX Runtime, into a file that both engines open."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from contract.engine import INPUT_NAME
from contract.preprocess import FloatArray

BATCH = 8


class Calibration:
    """Gives pictures float32 (N, 3, crop, crop) to the quantiser, in batches."""

    def __init__(self, pictures: FloatArray) -> None:
        self._batches = iter(np.array_split(pictures, max(1, len(pictures) // BATCH)))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def quantise(source: Path, target: Path, pictures: FloatArray) -> None:
    """Writes `source` to `target` in 8-bit integers. `pictures` decide the range of the activations.

    Raises what the quantiser raises for a network that it does not support; the types vary.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="kennel-") as scratch, _only_errors():
        prepared = Path(scratch) / source.name
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            Calibration(pictures),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


@contextmanager
def _only_errors() -> Iterator[None]:
    """Silences the root logger, to which the quantiser writes a line for nearly each tensor."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        root.setLevel(level)
