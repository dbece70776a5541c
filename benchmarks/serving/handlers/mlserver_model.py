"""MLServer's model: a custom runtime, as in its guide. With batching, `predict` gets a whole batch."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.handlers import network
from contract.preprocess import FloatArray

Answer = Callable[[list[str]], FloatArray]


class Classifier(MLModel):
    """From base64 pictures, BYTES (N, 1), to probabilities, FP32 (N, 14)."""

    async def load(self) -> bool:
        chosen = self.settings.parameters.extra
        self._answer = answer(chosen["threads"], channels_last=chosen["channels_last"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        pictures = [item for given in payload.inputs for item in given.data.root]
        outputs = [NumpyCodec.encode_output("probabilities", self._answer(pictures))]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def answer(threads: int, *, channels_last: bool) -> Answer:
    """A function from base64 pictures to probabilities (N, labels)."""
    if network.kind() == "null":
        return lambda pictures: np.asarray([network.NULL_ANSWER] * len(pictures), dtype=np.float32)
    decode, forward = network.decoder(), network.forward(threads, channels_last=channels_last)

    def run(pictures: list[str]) -> FloatArray:
        return forward(np.stack([decode(base64.b64decode(picture)) for picture in pictures]))

    return run
