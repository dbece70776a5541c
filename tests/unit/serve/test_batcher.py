"""Batching adds no delay, mixes up no answers, holds its bound, and survives a failing network."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from serve.batcher import Batcher, BatchRecord, ClosedError, Streams
from serve.caller import Caller, CallerGoneError

WAIT = 5.0


def picture(value: float) -> Any:
    return np.full((3, 2, 2), value, dtype=np.float32)


class HeldNetwork:
    """A network that answers each picture with its own value, but not before `go` is set."""

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


def start_batcher(network: Any, streams: Streams | None = None, **options: Any) -> Batcher:
    batcher = Batcher(network, **({"max_batch": 4} | options)).start()
    if streams:
        batcher.add(streams)
    return batcher


def test_every_picture_gets_its_own_answer_in_order() -> None:
    batcher = start_batcher(HeldNetwork())
    futures = batcher.submit([picture(value) for value in range(10)])
    assert [float(future.result(WAIT)[0]) for future in futures] == list(range(10))
    batcher.close()


def test_a_lone_picture_goes_at_once_and_what_waits_meanwhile_goes_together() -> None:
    network = HeldNetwork(is_open=False)
    batcher = start_batcher(network)
    first = batcher.submit([picture(0)])
    assert network.entered.acquire(timeout=WAIT)
    rest = [batcher.submit([picture(value)])[0] for value in range(1, 7)]
    network.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == [0, 1, 2, 3, 4, 5, 6]
    assert network.sizes == [1, 4, 2]
    batcher.close()


def test_a_lone_picture_is_computed_in_the_thread_that_offers_it() -> None:
    threads: list[str] = []

    def network(pictures: Any) -> Any:
        threads.append(threading.current_thread().name)
        return pictures[:, :1, 0, 0]

    batcher = start_batcher(network)
    assert float(batcher.offer(picture(3)).result(0)[0]) == 3
    batcher.submit([picture(1)])[0].result(WAIT)
    assert threads == [threading.current_thread().name, "batcher-0"]
    batcher.close()


def test_pictures_that_arrive_while_the_network_works_wait_in_the_queue() -> None:
    network = HeldNetwork(is_open=False)
    batcher = start_batcher(network)
    answers: list[float] = []
    callers = [
        threading.Thread(
            target=lambda value=value: answers.append(float(batcher.offer(picture(value)).result(WAIT)[0]))
        )
        for value in range(3)
    ]
    callers[0].start()
    assert network.entered.acquire(timeout=WAIT)
    for caller in callers[1:]:
        caller.start()
    while batcher.waiting() < 2:
        threading.Event().wait(0.001)
    network.go.set()
    for caller in callers:
        caller.join(WAIT)
    assert (sorted(answers), network.sizes) == ([0, 1, 2], [1, 2])
    batcher.close()


def test_an_offered_picture_does_not_overtake_those_that_wait() -> None:
    network = HeldNetwork()
    batcher = Batcher(network, max_batch=4)
    (first,) = batcher.submit([picture(1)])
    second = batcher.offer(picture(2))
    assert not second.done()
    batcher.start()
    assert [float(future.result(WAIT)[0]) for future in (first, second)] == [1, 2]
    assert network.sizes == [2]
    batcher.close()


def test_a_picture_whose_caller_no_longer_waits_is_not_computed() -> None:
    network = HeldNetwork(is_open=False)
    batcher = start_batcher(network)
    batcher.submit([picture(1)])
    assert network.entered.acquire(timeout=WAIT)
    (left,) = batcher.submit([picture(2)], caller=Caller(deadline=0.0))
    (stayed,) = batcher.submit([picture(3)])
    network.go.set()
    assert float(stayed.result(WAIT)[0]) == 3
    with pytest.raises(CallerGoneError):
        left.result(WAIT)
    assert network.sizes == [1, 1]
    batcher.close()


@pytest.mark.parametrize("offered", [True, False])
def test_a_failure_reaches_its_callers_and_the_next_are_served(offered: bool) -> None:
    failures = iter([True, False])

    def network(pictures: Any) -> Any:
        if next(failures):
            raise RuntimeError("out of order")
        return pictures[:, :1, 0, 0]

    batcher = start_batcher(network)
    ask = batcher.offer if offered else lambda each: batcher.submit([each])[0]
    with pytest.raises(RuntimeError, match="out of order"):
        ask(picture(1)).result(WAIT)
    assert batcher.alive()
    assert float(ask(picture(2)).result(WAIT)[0]) == 2
    batcher.close()


def test_too_few_answers_are_a_failure_and_not_a_hang() -> None:
    batcher = start_batcher(lambda pictures: pictures[:1, :1, 0, 0])
    futures = batcher.submit([picture(1), picture(2)])
    with pytest.raises(ValueError, match="1 answers for 2 pictures"):
        futures[1].result(WAIT)
    assert batcher.alive()
    batcher.close()


def test_cancelled_pictures_are_not_computed() -> None:
    network = HeldNetwork(is_open=False)
    batcher = start_batcher(network)
    batcher.submit([picture(1)])
    assert network.entered.acquire(timeout=WAIT)
    given_up, kept = batcher.submit([picture(2), picture(3)])
    assert given_up.cancel()
    network.go.set()
    assert float(kept.result(WAIT)[0]) == 3
    assert network.sizes == [1, 1]
    batcher.close()


def test_closing_computes_the_pictures_that_wait_and_accepts_no_more() -> None:
    network = HeldNetwork(is_open=False)
    batcher = start_batcher(network)
    futures = batcher.submit([picture(value) for value in range(6)])
    network.go.set()
    batcher.close()
    assert [float(future.result(0)[0]) for future in futures] == list(range(6))
    assert not batcher.alive()
    with pytest.raises(ClosedError, match="stopping"):
        batcher.submit([picture(1)])


def test_each_batch_is_observed_with_its_size_and_times() -> None:
    records: list[BatchRecord] = []
    ticks = iter([10.0, 13.0, 17.0])
    batcher = start_batcher(HeldNetwork(), observe=records.append, clock=lambda: next(ticks))
    batcher.submit([picture(1), picture(2)])
    batcher.close()
    assert records == [BatchRecord(pictures=2, seconds=4.0, waited=3.0)]


class Counting:
    """A network that counts the inferences that run in it at a time."""

    def __init__(self, most: list[int]) -> None:
        self.most, self._inside, self._lock = most, 0, threading.Lock()
        self.barrier: threading.Barrier | None = None
        self.sizes: list[int] = []

    def __call__(self, pictures: Any) -> Any:
        with self._lock:
            self._inside += 1
            self.sizes.append(len(pictures))
            self.most.append(self._inside)
        if self.barrier:
            self.barrier.wait(WAIT)
        with self._lock:
            self._inside -= 1
        return pictures[:, :1, 0, 0]


def test_with_as_many_pictures_as_streams_each_stream_computes_a_share_side_by_side() -> None:
    alone, streams = HeldNetwork(is_open=False), Counting([])
    streams.barrier = threading.Barrier(3)  # opens only when three inferences are at work at a time
    batcher = start_batcher(alone, streams=Streams(infer=streams, count=3))
    first = batcher.submit([picture(0)])
    assert alone.entered.acquire(timeout=WAIT)
    rest = batcher.submit([picture(value) for value in range(1, 8)])
    alone.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == list(range(8))
    assert (alone.sizes, sorted(streams.sizes), max(streams.most)) == ([1], [2, 2, 3], 3)
    batcher.close()
    assert not batcher.alive()


def test_streams_may_be_added_while_callers_wait() -> None:
    alone, streams = HeldNetwork(is_open=False), Counting([])
    streams.barrier = threading.Barrier(3)
    batcher = start_batcher(alone)
    first = batcher.submit([picture(0)])
    assert alone.entered.acquire(timeout=WAIT)
    rest = batcher.submit([picture(value) for value in range(1, 8)])
    batcher.add(Streams(infer=streams, count=3))
    alone.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == list(range(8))
    assert (alone.sizes, sorted(streams.sizes), max(streams.most)) == ([1], [2, 2, 3], 3)
    batcher.close()


def test_streams_that_are_added_after_closing_start_nothing() -> None:
    batcher = start_batcher(HeldNetwork())
    batcher.close()
    batcher.add(Streams(infer=HeldNetwork(), count=3))
    assert not batcher.alive()


def test_fewer_than_there_are_streams_share_one_inference_on_all_cpus() -> None:
    alone, streams = HeldNetwork(is_open=False), HeldNetwork()
    batcher = start_batcher(alone, streams=Streams(infer=streams, count=3))
    first = batcher.submit([picture(0)])
    assert alone.entered.acquire(timeout=WAIT)
    rest = batcher.submit([picture(1), picture(2)])
    alone.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == [0, 1, 2]
    assert (alone.sizes, streams.sizes) == ([1, 2], [])
    batcher.close()


def test_a_picture_that_is_offered_while_a_stream_is_free_is_computed_at_once_in_its_own_thread() -> None:
    go, threads = threading.Event(), []

    def stream(pictures: Any) -> Any:
        threads.append(threading.current_thread().name)
        if pictures[0, 0, 0, 0] == 1:
            assert go.wait(WAIT)
        return pictures[:, :1, 0, 0]

    batcher = start_batcher(HeldNetwork(), streams=Streams(infer=stream, count=2))
    held, passed = batcher.submit([picture(1), picture(2)])
    assert float(passed.result(WAIT)[0]) == 2
    end = time.monotonic() + WAIT
    while threading.current_thread().name not in threads and time.monotonic() < end:  # that stream is about to be free
        assert float(batcher.offer(picture(3)).result(WAIT)[0]) == 3
    assert threading.current_thread().name in threads
    assert not held.done()
    go.set()
    assert float(held.result(WAIT)[0]) == 1
    batcher.close()


def test_only_one_more_inference_waits_in_the_engine_while_the_streams_compute() -> None:
    streams = HeldNetwork(is_open=False)
    batcher = start_batcher(HeldNetwork(), streams=Streams(infer=streams, count=2, ahead=1))
    first = batcher.submit([picture(0), picture(1)])
    assert all(streams.entered.acquire(timeout=WAIT) for _ in range(2))
    offered: list[Any] = []
    caller = threading.Thread(target=lambda: offered.append(batcher.offer(picture(2))), daemon=True)
    caller.start()
    caller.join(WAIT)
    assert offered, "whoever offers a picture decodes others: it must not wait in the engine's queue itself"
    assert streams.entered.acquire(timeout=WAIT)
    last = batcher.submit([picture(value) for value in range(3, 9)])
    assert not streams.entered.acquire(timeout=0.1)
    assert (streams.sizes, batcher.waiting()) == ([1, 1, 1], 6)
    streams.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *offered, *last]] == list(range(9))
    batcher.close()
    assert not batcher.alive()


def test_idle_streams_share_the_pictures_that_wait_and_the_engines_queue_gets_none() -> None:
    alone, streams = HeldNetwork(is_open=False), HeldNetwork(is_open=False)
    batcher = start_batcher(alone, streams=Streams(infer=streams, count=2, ahead=1))
    first = batcher.submit([picture(0)])
    assert alone.entered.acquire(timeout=WAIT)
    rest = batcher.submit([picture(value) for value in range(1, 7)])
    alone.go.set()
    assert all(streams.entered.acquire(timeout=WAIT) for _ in range(2))
    assert (streams.sizes, batcher.waiting()) == ([3, 3], 0)
    streams.go.set()
    assert [float(future.result(WAIT)[0]) for future in [*first, *rest]] == list(range(7))
    batcher.close()


@pytest.mark.parametrize(("count", "ahead"), [(2, 0), (2, 1), (3, 0)])
def test_streams_never_run_beside_an_inference_on_all_cpus_whatever_arrives_and_fails(count: int, ahead: int) -> None:
    most: list[int] = []
    inside: list[str] = []
    wrong: list[str] = []

    def network(kind: str, limit: int) -> Any:
        def infer(pictures: Any) -> Any:
            inside.append(kind)
            now = list(inside)
            if len(now) > limit or len(set(now)) > 1:
                wrong.append(f"{kind}: {now}")
            most.append(len(now))
            time.sleep(0.001)
            inside.remove(kind)
            if 7 in pictures[:, 0, 0, 0]:
                raise RuntimeError("seven")
            return pictures[:, :1, 0, 0]

        return infer

    streams = Streams(infer=network("stream", count + ahead), count=count, ahead=ahead)
    batcher = start_batcher(network("alone", 1), streams=streams)
    answers: list[bool] = []

    def caller(turn: int) -> None:
        for value in range(turn, turn + 20):
            future = batcher.offer(picture(value)) if value % 3 else batcher.submit([picture(value)])[0]
            error = future.exception(WAIT)
            answers.append(isinstance(error, RuntimeError) if error else float(future.result()[0]) == value)

    callers = [threading.Thread(target=caller, args=(turn,)) for turn in range(8)]
    for each in callers:
        each.start()
    for each in callers:
        each.join(WAIT)
    batcher.close()
    assert (wrong, len(answers), all(answers)) == ([], 160, True)
    assert max(most) > 1
