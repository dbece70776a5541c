"""Pictures of several requests in one inference, without added delay: what waits when the network is free goes next.

A picture that finds the network idle goes through it in its caller's own thread, without a turn of another. Whoever
comes meanwhile waits, first come first served, for one thread that runs what has gathered. The network uses all CPUs
itself, so there is never more than one inference.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from contract.preprocess import FloatArray

Infer = Callable[[FloatArray], FloatArray]
Clock = Callable[[], float]
Wanted = Callable[[], bool]


class ClosedError(RuntimeError):
    """The server is stopping: no new pictures."""


class UnwantedError(RuntimeError):
    """The picture was not computed: its caller has left, or waits no longer."""


@dataclass(frozen=True, kw_only=True)
class BatchRecord:
    """What one inference was: pictures in it, seconds that it took, seconds that its oldest picture had waited."""

    pictures: int
    seconds: float
    waited: float


@dataclass(frozen=True, kw_only=True)
class _Item:
    picture: FloatArray
    since: float
    wanted: Wanted
    answer: Future[FloatArray] = field(default_factory=Future)


def _always() -> bool:
    return True


class Batcher:
    """Gathers pictures, float32 (3, crop, crop) each, runs `infer` on (N, 3, crop, crop) with N ≤ max_batch.

    How many may wait is for serve.admission to say.
    """

    def __init__(
        self,
        infer: Infer,
        *,
        max_batch: int,
        observe: Callable[[BatchRecord], None] = lambda _: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._infer, self._observe, self._clock = infer, observe, clock
        self._max_batch = max_batch
        self._items: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._network = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self) -> Batcher:
        self._thread.start()
        return self

    def alive(self) -> bool:
        return self._thread.is_alive()

    def waiting(self) -> int:
        return len(self._items)

    def offer(self, picture: FloatArray, *, wanted: Wanted = _always) -> Future[FloatArray]:
        """The future logits (labels,) of one picture: computed here and now when nobody else is being served.

        Raises ClosedError.
        """
        if self._items or self._closed or not self._network.acquire(blocking=False):
            return self.submit([picture], wanted=wanted)[0]
        answer: Future[FloatArray] = Future()
        try:
            answer.set_result(self._observed(picture[np.newaxis], self._clock())[0])
        except Exception as error:  # the answer to whoever asked, as in the batcher's own thread
            answer.set_exception(error)
        finally:
            self._network.release()
        return answer

    def submit(self, pictures: Sequence[FloatArray], *, wanted: Wanted = _always) -> list[Future[FloatArray]]:
        """One future of logits (labels,) a picture, in order. `wanted` is asked just before they are computed.

        Raises ClosedError.
        """
        now = self._clock()
        items = [_Item(picture=picture, since=now, wanted=wanted) for picture in pictures]
        with self._wake:
            if self._closed:
                raise ClosedError("the server is stopping")
            self._items.extend(items)
            self._wake.notify()
        return [item.answer for item in items]

    def close(self) -> None:
        """Answers what waits, then ends the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._some():
            with self._network:  # only now is it known who goes together
                self._answer([self._items.popleft() for _ in range(min(len(self._items), self._max_batch))])

    def _some(self) -> bool:
        with self._wake:
            while not self._items and not self._closed:
                self._wake.wait()
            return bool(self._items)

    def _answer(self, batch: list[_Item]) -> None:
        live = [item for item in batch if item.answer.set_running_or_notify_cancel() and _still_wanted(item)]
        if not live:
            return
        try:
            logits = self._observed(np.stack([item.picture for item in live]), min(item.since for item in live))
        except Exception as error:  # whatever the network raises is the answer to those who asked, not our end
            for item in live:
                item.answer.set_exception(error)
            return
        for item, row in zip(live, logits, strict=True):
            item.answer.set_result(row)

    def _observed(self, pictures: FloatArray, since: float) -> Sequence[FloatArray]:
        started = self._clock()
        logits = self._infer(pictures)
        if len(logits) != len(pictures):
            raise ValueError(f"the network gave {len(logits)} answers for {len(pictures)} pictures")
        record = BatchRecord(pictures=len(pictures), seconds=self._clock() - started, waited=started - since)
        self._observe(record)
        return list(logits)


def _still_wanted(item: _Item) -> bool:
    if item.wanted():
        return True
    item.answer.set_exception(UnwantedError("its caller waits no longer"))
    return False
