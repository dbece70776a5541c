"""The network and the decoder that every handler uses.

benchmarks.serving.peer.common_environment sets the environment variables that this module reads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract import artifact
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array

CLASSES = 14
NULL_ANSWER = [1.0 / CLASSES] * CLASSES
Forward = Callable[[FloatArray], FloatArray]


def kind() -> str:
    """One of benchmarks.serving.peer.NetworkKind."""
    return os.environ["BENCHMARK_KIND"]


def folder() -> Path:
    """The artifact's folder."""
    return Path(os.environ["BENCHMARK_MODEL"])


def port() -> int:
    """The port that the server listens on, on loopback."""
    return int(os.environ["BENCHMARK_PORT"])


def cpus() -> int:
    """The machine's cores."""
    return int(os.environ["BENCHMARK_CPUS"])


def decoder() -> Callable[[bytes], FloatArray]:
    """A function from an encoded picture to the network's input, float32 (3, crop, crop), as our server decodes."""
    preprocessing: Preprocessing = artifact.read(folder(), whole=False).preprocessing

    def decode(picture: bytes) -> FloatArray:
        return to_array(open_picture(picture, shorter_side=preprocessing.resize), preprocessing)

    return decode


def forward(threads: int, *, channels_last: bool = False) -> Forward:
    """A function from inputs (N, 3, crop, crop) to probabilities (N, labels), in float32, with `kind()`'s engine."""
    return onnx_forward(threads) if kind() == "onnx" else torch_forward(threads, channels_last=channels_last)


def torch_forward(threads: int, *, channels_last: bool = False) -> Forward:
    """ResNet-50 in torch as in its performance guide: eval mode, inference mode, channels_last where that is faster."""
    import torch

    from contract import models

    torch.set_num_threads(threads)
    manifest = artifact.read(folder(), whole=False)
    weights = models.read_weights(folder() / artifact.WEIGHTS, architecture=manifest.architecture)
    model = models.build(manifest.architecture, len(manifest.labels), weights.variant)
    models.load(model, weights, labels=manifest.labels)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.eval().to(memory_format=layout)

    def run(inputs: FloatArray) -> FloatArray:
        with torch.inference_mode():
            batch = torch.from_numpy(inputs).to(memory_format=layout)
            answer: FloatArray = torch.softmax(model(batch), dim=1).numpy()
            return answer

    return run


def onnx_forward(threads: int) -> Forward:
    """The artifact's model.onnx in float32, with our server's session options."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = str(folder() / artifact.NETWORK)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: FloatArray) -> FloatArray:
        [logits] = session.run([artifact.OUTPUT_NAME], {artifact.INPUT_NAME: inputs})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    return run
