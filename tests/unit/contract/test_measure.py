"""The time of a network: a median over a bounded number of rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from contract import measure
from contract.engine import FALLBACK, Network
from contract.preprocess import FloatArray


class Timed:
    """A network whose calls take `rounds` milliseconds, one after the other; further calls take the last."""

    def __init__(self, *rounds: float) -> None:
        self.now, self.calls = 0.0, 0
        self._rounds: Iterator[float] = iter(rounds)
        self._last = 0.0

    def run(self, pictures: FloatArray) -> Any:
        self._last = next(self._rounds, self._last)
        self.now += self._last / 1000
        self.calls += 1
        return np.zeros((len(pictures), 2))

    def milliseconds(self, count: int, seconds: float) -> float:
        network = Network(engine=FALLBACK, inputs=(), outputs=(), run=self.run, streams=lambda _: network)
        return measure.milliseconds(network, measure.blank(count, 8), seconds=seconds, clock=lambda: self.now)


def test_the_first_round_and_a_slow_outlier_do_not_count() -> None:
    assert Timed(900, 80, 700, 80, 80).milliseconds(8, seconds=1) == pytest.approx(10)


@pytest.mark.parametrize(("each", "rounds"), [(500, measure.LEAST), (20, 5), (0.01, measure.MOST)])
def test_rounds_fill_the_time_within_their_limits(each: float, rounds: int) -> None:
    timed = Timed(each)
    assert timed.milliseconds(1, seconds=0.1) == pytest.approx(each)
    assert timed.calls == 1 + rounds


def test_timing_pictures_are_not_zero_and_always_the_same() -> None:
    made = measure.blank(2, 8)
    assert (made.shape, made.dtype.name) == ((2, 3, 8, 8), "float32")
    assert np.array_equal(made, measure.blank(2, 8))
    assert made.std() > 0.5
