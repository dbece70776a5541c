"""BentoML's services: `bentoml serve benchmarks.serving.handlers.bentoml_service:Null` (or `:Classifier`)."""

from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType

from benchmarks.serving.handlers import network

Jpeg = Annotated[Path, ContentType("image/jpeg")]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Null:
    """Reads the body, answers a constant. Async, so it needs no thread (BentoML's guide on async APIs)."""

    @bentoml.api
    async def classify(self, picture: Annotated[bytes, ContentType("image/jpeg")], /) -> list[list[float]]:
        return [network.NULL_ANSWER]


@bentoml.service(workers=1, traffic={"timeout": 60})
class Classifier:
    """One worker with all threads and adaptive batching, as in BentoML's guide on adaptive batching."""

    def __init__(self) -> None:
        self.decode = network.decoder()
        self.forward = network.forward(network.cpus(), channels_last=True)
        self.forward(np.zeros((2, 3, 224, 224), dtype=np.float32))

    @bentoml.api(batchable=True, max_batch_size=8, max_latency_ms=1000)
    def classify(self, pictures: list[Jpeg]) -> list[list[float]]:
        inputs = np.stack([self.decode(path.read_bytes()) for path in pictures])
        probabilities: list[list[float]] = self.forward(inputs).tolist()
        return probabilities
