"""The functions that sagemaker-inference's handler service calls, as in its guide on script mode."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from benchmarks.serving.handlers import network
from contract.preprocess import FloatArray

Model = Callable[[bytes], list[float]]
LAST = "BENCHMARK_CHANNELS_LAST" in os.environ


def model_fn(model_dir: str) -> Model:
    """Loads the model once in each worker. `model_dir` holds only code/; BENCHMARK_MODEL names the artifact."""
    if network.kind() == "null":
        return lambda picture: network.NULL_ANSWER
    decode, forward = (
        network.decoder(),
        network.forward(int(os.environ["BENCHMARK_THREADS"]), channels_last="BENCHMARK_CHANNELS_LAST" in os.environ),
    )

    def run(picture: bytes) -> list[float]:
        batch: FloatArray = decode(picture)[None]
        row: list[float] = forward(batch)[0].tolist()
        return row

    return run


def input_fn(body: bytes, content_type: str) -> bytes:
    return bytes(body or b"")


def predict_fn(picture: bytes, model: Model) -> list[float]:
    return model(picture) if picture else network.NULL_ANSWER


def output_fn(prediction: list[float], accept: str) -> str:
    return json.dumps(prediction)
