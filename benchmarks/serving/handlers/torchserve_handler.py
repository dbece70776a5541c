"""TorchServe's handler, a function from a batch's requests to their answers, as in its guide on custom handlers."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.serving.handlers import network

Answer = Callable[[Sequence[bytes]], list[list[float]]]
LAST = "BENCHMARK_CHANNELS_LAST" in os.environ


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[list[float]] | None:
    """Answers a batch. The first call, when a worker starts, has no data and loads the model. A request without a body
    is a readiness check (see the peer's `ready`)."""
    if data is None:
        _answer()
        return None
    pictures = [bytes(row.get("body") or row.get("data") or b"") for row in data]
    bodies = [picture for picture in pictures if picture]
    answers = iter(_answer()(bodies) if bodies else [])
    return [next(answers) if picture else network.NULL_ANSWER for picture in pictures]


@functools.cache
def _answer() -> Answer:
    if network.kind() == "null":
        return lambda pictures: [network.NULL_ANSWER] * len(pictures)
    decode, forward = (
        network.decoder(),
        network.forward(int(os.environ["BENCHMARK_THREADS"]), channels_last="BENCHMARK_CHANNELS_LAST" in os.environ),
    )

    def run(pictures: Sequence[bytes]) -> list[list[float]]:
        rows: list[list[float]] = forward(np.stack([decode(picture) for picture in pictures])).tolist()
        return rows

    return run
