"""Pictures of several requests in one inference, without added delay: what waits when the network is free goes next.

A picture that finds the network idle goes through it in its caller's own thread, on all CPUs, without a turn of
another. Whoever comes meanwhile waits, first come first served. When as many wait as there are streams, that many
inferences run side by side, each on one thread: together they compute more a second than one inference on all CPUs,
whose threads wait for each other, all the more where a decoder or the event loop takes a CPU in between. Where the
engine keeps a queue, the next inference lies in it already: a stream that ends one begins another, and no CPU idles
until a thread of ours has the interpreter's lock.
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


@dataclass(frozen=True, kw_only=True)
class Streams:
    """The same network on one thread: `count` callers at a time use all CPUs, `ahead` more wait in the engine."""

    infer: Infer
    count: int
    ahead: int = 0

    @property
    def callers(self) -> int:
        return self.count + self.ahead


class Batcher:
    """Gathers pictures, float32 (3, crop, crop) each, runs `infer` on (N, 3, crop, crop) with N ≤ max_batch: alone on
    all CPUs, or side by side by the streams that were added.

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
        self._changed = threading.Condition()  # guards the items and what runs
        self._alone, self._streaming = False, 0  # an inference on all CPUs, and how many on one thread
        self._closed = False
        self._streams: Streams | None = None
        self._threads = self._new(range(1))

    def start(self) -> Batcher:
        for thread in self._threads:
            thread.start()
        return self

    def add(self, streams: Streams) -> None:
        """Streams for a batcher that runs already, once: opening them takes time that callers need not wait."""
        with self._changed:
            if self._closed:
                return
            more = self._new(range(len(self._threads), streams.callers))
            for thread in more:
                thread.start()
            self._threads += more
            self._streams = streams
            self._call()

    def _new(self, numbers: range) -> list[threading.Thread]:
        return [threading.Thread(target=self._run, name=f"batcher-{n}", daemon=True) for n in numbers]

    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def waiting(self) -> int:
        return len(self._items)

    def offer(self, picture: FloatArray, *, wanted: Wanted = _always) -> Future[FloatArray]:
        """The future logits (labels,) of one picture: computed here and now when the network has room for it.

        Raises ClosedError.
        """
        with self._changed:
            infer = self._begin(1) if self._free() and not self._items and not self._closed else None
        if infer is None:
            return self.submit([picture], wanted=wanted)[0]
        answer: Future[FloatArray] = Future()
        try:
            answer.set_result(self._observed(infer, picture[np.newaxis], self._clock())[0])
        except Exception as error:  # the answer to whoever asked, as in the batcher's own threads
            answer.set_exception(error)
        finally:
            self._end()
        return answer

    def submit(self, pictures: Sequence[FloatArray], *, wanted: Wanted = _always) -> list[Future[FloatArray]]:
        """One future of logits (labels,) a picture, in order. `wanted` is asked just before they are computed.

        Raises ClosedError.
        """
        now = self._clock()
        items = [_Item(picture=picture, since=now, wanted=wanted) for picture in pictures]
        with self._changed:
            if self._closed:
                raise ClosedError("the server is stopping")
            self._items.extend(items)
            self._call()
        return [item.answer for item in items]

    def close(self) -> None:
        """Answers what waits, then ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _free(self) -> int:
        """How many inferences would be computed at once if they began now."""
        if self._alone:
            return 0
        return max(0, self._streams.count - self._streaming) if self._streams else 1

    def _room(self) -> int:
        """How many inferences may begin now, those counted that would wait in the engine."""
        if self._alone:
            return 0
        return self._streams.callers - self._streaming if self._streams else 1

    def _begin(self, waiting: int) -> Infer | None:
        """What the next inference runs on, None when it has to wait for another to end."""
        if not self._room():
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
            self._call()

    def _call(self) -> None:
        """Wakes as many threads as have something to do: waking one for nothing costs as much as a small request."""
        if self._closed:
            self._changed.notify_all()
        else:
            self._changed.notify(min(len(self._items), self._room()))

    def _run(self) -> None:
        while job := self._next():
            try:
                self._answer(*job)
            finally:
                self._end()

    def _next(self) -> tuple[Infer, list[_Item]] | None:
        """What to compute and on what, only now that it is known who goes together; None after the last."""
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
        live = [item for item in batch if item.answer.set_running_or_notify_cancel() and _still_wanted(item)]
        if not live:
            return
        try:
            pictures = np.stack([item.picture for item in live])
            logits = self._observed(infer, pictures, min(item.since for item in live))
        except Exception as error:  # whatever the network raises is the answer to those who asked, not our end
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


def _still_wanted(item: _Item) -> bool:
    if item.wanted():
        return True
    item.answer.set_exception(UnwantedError("its caller waits no longer"))
    return False
