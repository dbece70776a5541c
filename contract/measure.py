"""Measures how long a network takes. Training and serving use the same measurement to choose an engine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from contract.engine import Network
from contract.preprocess import FloatArray

LEAST, MOST = 3, 50  # rounds


def milliseconds(
    network: Network, pictures: FloatArray, *, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The median time per picture in milliseconds for the batch `pictures`, float32 (N, 3, crop, crop).

    Warms up with one round, then measures for about `seconds`, at least LEAST and at most MOST rounds.
    """
    network.logits(pictures)
    durations: list[float] = []
    while len(durations) < LEAST or (sum(durations) < seconds and len(durations) < MOST):
        began = clock()
        network.logits(pictures)
        durations.append(clock() - began)
    return 1000 * statistics.median(durations) / len(pictures)


def blank(count: int, crop: int) -> FloatArray:
    """Pictures float32 (count, 3, crop, crop) for timing: small random numbers, because zeros may be faster."""
    return np.random.default_rng(0).standard_normal((count, 3, crop, crop), dtype=np.float32)
