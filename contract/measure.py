"""How long a network takes: the same measurement where training packages and where serving chooses."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from contract.engine import Network
from contract.preprocess import FloatArray

LEAST, MOST = 3, 50


def milliseconds(
    network: Network, pictures: FloatArray, *, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """A picture's median time in milliseconds when `pictures`, float32 (N, 3, crop, crop), are asked together, after
    one round to warm up. Takes about `seconds`, or LEAST rounds where those take longer."""
    network.logits(pictures)
    taken: list[float] = []
    while len(taken) < LEAST or (sum(taken) < seconds and len(taken) < MOST):
        began = clock()
        network.logits(pictures)
        taken.append(clock() - began)
    return 1000 * statistics.median(taken) / len(pictures)


def blank(count: int, crop: int) -> FloatArray:
    """Pictures float32 (count, 3, crop, crop) to time with: small random numbers, for zeros may be quicker."""
    return np.random.default_rng(0).standard_normal((count, 3, crop, crop), dtype=np.float32)
