"""The network in 8-bit integers: ONNX Runtime's own static quantisation, in a file that both engines open."""

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
    """Pictures float32 (N, 3, crop, crop) as the quantiser asks for them."""

    def __init__(self, pictures: FloatArray) -> None:
        self._batches = iter(np.array_split(pictures, max(1, len(pictures) // BATCH)))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT_NAME: batch}


def quantise(source: Path, target: Path, pictures: FloatArray) -> None:
    """Writes `source` as 8-bit integers to `target`: weights by channel, activations by the range that `pictures` give.

    Raises whatever the quantiser raises for a network that it cannot do.
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
    """The quantiser tells by the root logger each tensor that it leaves alone, and warns of each vector of weights."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        root.setLevel(level)
