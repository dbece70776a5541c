"""Gathers pictures of several requests into one inference without adding delay.

When the network is idle, a picture is computed at once, in the thread that offers it and on all CPUs. Pictures that
arrive meanwhile wait in a queue, first come first served. When at least as many wait as there are streams, that many
inferences run side by side, each on one thread. Side by side they compute more pictures a second than one inference on
all CPUs, whose threads wait for each other, even more so when a decoder or the event loop takes a CPU in between. When
the engine has a queue of its own, one more inference waits in it: a stream that finishes starts the next at once,
instead of idling until a Python thread gets the interpreter lock.
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
from serve.caller import Caller, CallerGoneError

Infer = Callable[[FloatArray], FloatArray]
Clock = Callable[[], float]


class ClosedError(RuntimeError):
    """The server is stopping and takes no new pictures."""


@dataclass(frozen=True, kw_only=True)
class BatchRecord:
    """One inference: its pictures, its duration, and how long its oldest picture had waited. Times are in seconds."""

    pictures: int
    seconds: float
    waited: float


@dataclass(frozen=True, kw_only=True)
class _Item:
    picture: FloatArray
    since: float
    caller: Caller | None
    answer: Future[FloatArray] = field(default_factory=Future)


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The same network opened for inferences on one thread each: `count` at a time use all CPUs, and `ahead` more wait
    in the engine's queue."""

    infer: Infer
    count: int
    ahead: int = 0

    @property
    def callers(self) -> int:
        return self.count + self.ahead


class Batcher:
    """Gathers pictures, float32 (3, crop, crop) each, and runs `infer` on (N, 3, crop, crop) with N ≤ max_batch: one
    inference on all CPUs, or one in each of the added streams.

    serve.admission bounds how many pictures wait here.
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
        self._changed = threading.Condition()  # guards the items and the two fields below
        self._alone, self._streaming = False, 0  # whether one runs on all CPUs; how many run on one thread
        self._closed = False
        self._streams: Streams | None = None
        self._threads = self._new(range(1))

    def start(self) -> Batcher:
        for thread in self._threads:
            thread.start()
        return self

    def add(self, streams: Streams) -> None:
        """Adds streams, once, to a batcher that already runs: callers need not wait while the streams are opened."""
        with self._changed:
            if self._closed:
                return
            more = self._new(range(len(self._threads), streams.callers))
            for thread in more:
                thread.start()
            self._threads += more
            self._streams = streams
            self._wake_threads()

    def _new(self, numbers: range) -> list[threading.Thread]:
        return [threading.Thread(target=self._run, name=f"batcher-{n}", daemon=True) for n in numbers]

    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def waiting(self) -> int:
        return len(self._items)

    def offer(self, picture: FloatArray, *, caller: Caller | None = None) -> Future[FloatArray]:
        """The future logits (labels,) of one picture, computed in this thread when the network is free, else queued.

        Raises ClosedError.
        """
        with self._changed:
            infer = self._begin(1) if self._free() and not self._items and not self._closed else None
        if infer is None:
            return self.submit([picture], caller=caller)[0]
        answer: Future[FloatArray] = Future()
        try:
            answer.set_result(self._observed(infer, picture[np.newaxis], self._clock())[0])
        except Exception as error:  # fails the future, as the batcher's own threads do
            answer.set_exception(error)
        finally:
            self._end()
        return answer

    def submit(self, pictures: Sequence[FloatArray], *, caller: Caller | None = None) -> list[Future[FloatArray]]:
        """One future of logits (labels,) per picture, in order.

        A picture is not computed when its `caller` no longer waits: its future fails with CallerGoneError. Raises
        ClosedError.
        """
        now = self._clock()
        items = [_Item(picture=picture, since=now, caller=caller) for picture in pictures]
        with self._changed:
            if self._closed:
                raise ClosedError("the server is stopping")
            self._items.extend(items)
            self._wake_threads()
        return [item.answer for item in items]

    def close(self) -> None:
        """Computes the pictures that wait, then ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _free(self) -> int:
        """How many inferences could start computing now."""
        if self._alone:
            return 0
        return max(0, self._streams.count - self._streaming) if self._streams else 1

    def _startable(self) -> int:
        """How many inferences may start now, including those that would wait in the engine's queue."""
        if self._alone:
            return 0
        return self._streams.callers - self._streaming if self._streams else 1

    def _begin(self, waiting: int) -> Infer | None:
        """The function that runs the next inference, or None when it has to wait for another to end."""
        if not self._startable():
            return None
        if self._streams is None or (not self._streaming and waiting < self._streams.count):
            self._alone = True
            return self._infer
        self._streaming += 1
        return self._streams.infer

    def _end(self) -> None:
        with self._changed:
            if self._alone:
                self._alone = False
            else:
                self._streaming -= 1
            self._wake_threads()

    def _wake_threads(self) -> None:
        """Wakes only as many threads as there is work for: one woken in vain costs as much as a small request."""
        if self._closed:
            self._changed.notify_all()
        else:
            self._changed.notify(min(len(self._items), self._startable()))

    def _run(self) -> None:
        while job := self._next():
            try:
                self._answer(*job)
            finally:
                self._end()

    def _next(self) -> tuple[Infer, list[_Item]] | None:
        """The next inference and its pictures; None after the last.

        The batch is composed only when its inference can start, so pictures that arrive until then still join it.
        """
        with self._changed:
            while True:
                waiting, free = len(self._items), self._free()
                if waiting and (infer := self._begin(waiting)):
                    share = waiting if self._alone else -(-waiting // max(1, free))
                    return infer, [self._items.popleft() for _ in range(min(share, self._max_batch))]
                if self._closed and not waiting:
                    return None
                self._changed.wait()

    def _answer(self, infer: Infer, batch: list[_Item]) -> None:
        live = [item for item in batch if item.answer.set_running_or_notify_cancel() and _has_caller(item)]
        if not live:
            return
        try:
            pictures = np.stack([item.picture for item in live])
            logits = self._observed(infer, pictures, min(item.since for item in live))
        except Exception as error:  # the network's error goes to the callers; this thread lives on
            for item in live:
                item.answer.set_exception(error)
            return
        for item, row in zip(live, logits, strict=True):
            item.answer.set_result(row)

    def _observed(self, infer: Infer, pictures: FloatArray, since: float) -> Sequence[FloatArray]:
        started = self._clock()
        logits = infer(pictures)
        if len(logits) != len(pictures):
            raise ValueError(f"the network gave {len(logits)} answers for {len(pictures)} pictures")
        record = BatchRecord(pictures=len(pictures), seconds=self._clock() - started, waited=started - since)
        self._observe(record)
        return list(logits)


def _has_caller(item: _Item) -> bool:
    if item.caller is None or item.caller.waits:
        return True
    item.answer.set_exception(CallerGoneError("the caller no longer waits"))
    return False
