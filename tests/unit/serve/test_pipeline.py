"""Several pictures of one request are decoded beside the network; nothing is done for whoever waits no longer."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contract.measure import blank
from serve.batcher import Batcher, UnwantedError
from serve.codec import BadRequestError
from serve.loader import Loaded
from serve.pipeline import Caller, Pipeline
from tests.unit.serve.artifacts import CROP
from tests.unit.serve.pictures import encoded
from tests.unit.serve.services import predictor

RED, GREEN, BLUE = encoded("red"), encoded((0, 255, 0)), encoded("blue")


class Bench:
    """A pipeline before the colour network, which counts what it decodes and classifies."""

    def __init__(self, cpus: int = 2) -> None:
        self.decoded: list[float] = []
        self.sizes: list[int] = []
        model = predictor()

        self._free = threading.Event()
        self._free.set()

        def infer(pictures: Any) -> Any:
            self.sizes.append(len(pictures))
            assert self._free.wait(10)
            return model.logits(pictures)

        self.loaded = Loaded(predictor=model, batcher=Batcher(infer, max_batch=4).start(), seconds=0.0)
        self.pipeline = Pipeline(cpus=cpus, max_pixels=10**6, observe=self.decoded.append)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The network is at work on something else."""
        self._free.clear()
        (other,) = self.loaded.batcher.submit([blank(1, CROP)[0]])
        while not self.sizes:
            time.sleep(0.001)
        yield
        self._free.set()
        other.result(10)
        self.sizes.clear()

    def classify(self, *pictures: bytes, **caller: Any) -> list[int]:
        who = Caller(**({"deadline": time.perf_counter() + 10} | caller))
        found = asyncio.run(self.pipeline.classify(self.loaded, pictures, who))
        return [int(row.argmax()) for row in found.logits]


def test_many_pictures_are_answered_in_their_order_each_decoded_once() -> None:
    bench = Bench()
    assert bench.classify(*[RED, BLUE, GREEN] * 7) == [0, 2, 1] * 7
    assert (len(bench.decoded), sum(bench.sizes)) == (21, 21)


def test_one_bad_picture_among_many_is_named_and_the_server_goes_on() -> None:
    bench = Bench()
    with pytest.raises(BadRequestError, match="picture 2 of 3: not a readable picture"):
        bench.classify(RED, b"text", BLUE)
    assert bench.classify(GREEN) == [1]


@pytest.mark.parametrize("caller", [{"left": lambda: True}, {"deadline": 0.0}], ids=["left", "too late"])
@pytest.mark.parametrize("count", [1, 3])
def test_nothing_is_decoded_for_a_caller_who_waits_no_longer(caller: dict[str, Any], count: int) -> None:
    bench = Bench()
    with pytest.raises((UnwantedError, TimeoutError)):
        bench.classify(*[RED] * count, **caller)
    assert (bench.decoded, bench.sizes) == ([], [])


def test_an_answer_that_is_too_late_is_a_timeout_and_is_not_computed() -> None:
    bench = Bench()
    with bench.held(), pytest.raises(TimeoutError):
        bench.classify(RED, BLUE, deadline=time.perf_counter() + 0.2)
    assert len(bench.decoded) == 2
    assert bench.classify(GREEN) == [1]
    assert bench.sizes == [1]


def test_one_bad_picture_takes_the_others_of_its_request_out_of_the_line() -> None:
    bench = Bench()
    with bench.held(), pytest.raises(BadRequestError):
        bench.classify(RED, BLUE, b"text")
    assert bench.classify(GREEN) == [1]
    assert bench.sizes == [1]
