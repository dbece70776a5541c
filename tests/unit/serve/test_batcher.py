"""Batching adds no delay, mixes up no answers, holds its bound, and survives a failing network."""

import threading
from typing import Any

import numpy as np
import pytest

from serve.batcher import Batcher, BatchRecord, QueueFullError

WAIT = 5.0


def picture(value: float) -> Any:
    return np.full((3, 2, 2), value, dtype=np.float32)


class Gate:
    """A network that answers each picture with its own value, and only when it is let."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.sizes: list[int] = []
        self.entered, self.go = threading.Semaphore(0), threading.Event()
        if is_open:
            self.go.set()

    def __call__(self, pictures: Any) -> Any:
        self.sizes.append(len(pictures))
        self.entered.release()
        if not self.go.wait(WAIT):
            raise TimeoutError
        return pictures[:, :1, 0, 0]


def batcher(network: Any, **options: Any) -> Batcher:
    return Batcher(network, **({"max_batch": 4, "max_waiting": 8} | options)).start()


def test_every_picture_gets_its_own_answer_in_order() -> None:
    found = batcher(Gate())
    futures = found.submit([picture(value) for value in range(10)])
    assert [float(future.result(WAIT)[0]) for future in futures] == list(range(10))
    found.close()


def test_a_lone_picture_goes_at_once_and_what_waits_meanwhile_goes_together() -> None:
    network = Gate(is_open=False)
    found = batcher(network)
    first = found.submit([picture(0)])
    assert network.entered.acquire(timeout=WAIT)
    rest = [found.submit([picture(value)])[0] for value in range(1, 7)]
    network.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == [0, 1, 2, 3, 4, 5, 6]
    assert network.sizes == [1, 4, 2]
    found.close()


def test_a_full_queue_takes_none_of_a_request() -> None:
    network = Gate(is_open=False)
    found = batcher(network, max_waiting=3)
    taken = found.submit([picture(1)])
    assert network.entered.acquire(timeout=WAIT)
    taken += found.submit([picture(2), picture(3)])
    with pytest.raises(QueueFullError, match="2 pictures wait"):
        found.submit([picture(4), picture(5)])
    assert found.waiting() == 2
    network.go.set()
    assert [float(future.result(WAIT)[0]) for future in taken] == [1, 2, 3]
    found.close()


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits() -> None:
    found = batcher(Gate(), max_waiting=1)
    assert len([future.result(WAIT) for future in found.submit([picture(1)] * 5)]) == 5
    found.close()


def test_a_failure_reaches_those_who_asked_and_the_next_are_served() -> None:
    failures = iter([True, False])

    def network(pictures: Any) -> Any:
        if next(failures):
            raise RuntimeError("out of order")
        return pictures[:, :1, 0, 0]

    found = batcher(network)
    with pytest.raises(RuntimeError, match="out of order"):
        found.submit([picture(1)])[0].result(WAIT)
    assert found.alive()
    assert float(found.submit([picture(2)])[0].result(WAIT)[0]) == 2
    found.close()


def test_too_few_answers_are_a_failure_and_not_a_hang() -> None:
    found = batcher(lambda pictures: pictures[:1, :1, 0, 0])
    futures = found.submit([picture(1), picture(2)])
    with pytest.raises(ValueError, match="1 answers for 2 pictures"):
        futures[1].result(WAIT)
    assert found.alive()
    found.close()


def test_cancelled_pictures_are_not_computed() -> None:
    network = Gate(is_open=False)
    found = batcher(network)
    found.submit([picture(1)])
    assert network.entered.acquire(timeout=WAIT)
    given_up, kept = found.submit([picture(2), picture(3)])
    assert given_up.cancel()
    network.go.set()
    assert float(kept.result(WAIT)[0]) == 3
    assert network.sizes == [1, 1]
    found.close()


def test_closing_answers_what_waits_and_takes_no_more() -> None:
    network = Gate(is_open=False)
    found = batcher(network)
    futures = found.submit([picture(value) for value in range(6)])
    network.go.set()
    found.close()
    assert [float(future.result(0)[0]) for future in futures] == list(range(6))
    assert not found.alive()
    with pytest.raises(QueueFullError, match="stopping"):
        found.submit([picture(1)])


def test_each_batch_is_observed_with_its_size_and_times() -> None:
    records: list[BatchRecord] = []
    ticks = iter([10.0, 13.0, 17.0])
    found = batcher(Gate(), observe=records.append, clock=lambda: next(ticks))
    found.submit([picture(1), picture(2)])
    found.close()
    assert records == [BatchRecord(pictures=2, seconds=4.0, waited=3.0)]
