"""Pictures of several requests in one inference, without added delay: what waits when the network is free goes next.

One thread runs the network (which uses all CPUs itself); callers wait on futures. The queue is bounded.
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


class QueueFullError(RuntimeError):
    """More pictures wait than the queue holds: come back later."""


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
    answer: Future[FloatArray] = field(default_factory=Future)


class Batcher:
    """Gathers pictures, float32 (3, crop, crop) each, runs `infer` on (N, 3, crop, crop) with N ≤ max_batch."""

    def __init__(
        self,
        infer: Infer,
        *,
        max_batch: int,
        max_waiting: int,
        observe: Callable[[BatchRecord], None] = lambda _: None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._infer, self._observe, self._clock = infer, observe, clock
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._items: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)

    def start(self) -> Batcher:
        self._thread.start()
        return self

    def alive(self) -> bool:
        return self._thread.is_alive()

    def waiting(self) -> int:
        return len(self._items)

    def submit(self, pictures: Sequence[FloatArray]) -> list[Future[FloatArray]]:
        """One future of logits (labels,) a picture, in order. All are taken or, with QueueFullError, none.

        A request larger than the whole queue is taken when nothing else waits, or it never could be.
        """
        with self._wake:
            if self._closed:
                raise QueueFullError("the server is stopping")
            if self._items and len(self._items) + len(pictures) > self._max_waiting:
                raise QueueFullError(f"{len(self._items)} pictures wait already, at most {self._max_waiting} may")
            now = self._clock()
            items = [_Item(picture=picture, since=now) for picture in pictures]
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
        while batch := self._take():
            self._answer(batch)

    def _take(self) -> list[_Item]:
        with self._wake:
            while not self._items and not self._closed:
                self._wake.wait()
            return [self._items.popleft() for _ in range(min(len(self._items), self._max_batch))]

    def _answer(self, batch: list[_Item]) -> None:
        live = [item for item in batch if item.answer.set_running_or_notify_cancel()]
        if not live:
            return
        started = self._clock()
        try:
            logits = self._infer(np.stack([item.picture for item in live]))
            if len(logits) != len(live):
                raise ValueError(f"the network gave {len(logits)} answers for {len(live)} pictures")
        except Exception as error:  # whatever the network raises is the answer to those who asked, not our end
            for item in live:
                item.answer.set_exception(error)
            return
        record = BatchRecord(
            pictures=len(live), seconds=self._clock() - started, waited=started - min(item.since for item in live)
        )
        self._observe(record)
        for item, row in zip(live, logits, strict=True):
            item.answer.set_result(row)
