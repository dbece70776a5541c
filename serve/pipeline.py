"""A request's pictures on their way to logits: decoded on all CPUs while the network works on what is decoded already.

The event loop hands a picture to a thread here and is woken once, when its logits are there.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from contract.preprocess import FloatArray
from serve import codec
from serve.batcher import UnwantedError
from serve.loader import Loaded

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who waits for the answer: until when (time.perf_counter), and whether the connection is closed already."""

    deadline: float
    left: Callable[[], bool] = lambda: False

    def waits(self) -> bool:
        return time.perf_counter() < self.deadline and not self.left()

    def seconds(self) -> float:
        return max(0.0, self.deadline - time.perf_counter())


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Logits float32 (pictures, labels), the seconds until the last picture was decoded and those after it."""

    logits: FloatArray
    decoding: float
    network: float


class _Picture:
    """One picture at work. Threads work on it; `row`, its logits (labels,), is set on the event loop."""

    def __init__(self, encoded: bytes, position: str, caller: Caller) -> None:
        self.encoded, self.position, self._caller = encoded, position, caller
        self.decoded = 0.0  # when, by time.perf_counter
        self._loop = asyncio.get_running_loop()
        self.row: asyncio.Future[FloatArray] = self._loop.create_future()

    def wanted(self) -> bool:
        return not self.row.done() and self._caller.waits()

    def finish(self, answer: Future[FloatArray]) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._settle, answer)

    def _settle(self, answer: Future[FloatArray]) -> None:
        if self.row.done():
            return
        error = answer.exception()
        if error is None:
            self.row.set_result(answer.result())
        else:
            self.row.set_exception(error)


class Pipeline:
    """At most as many decoders as CPUs, which bounds memory too. `observe` is told each picture's decoding seconds."""

    def __init__(self, *, cpus: int, max_pixels: int, observe: Callable[[float], None]) -> None:
        self._max_pixels, self._observe = max_pixels, observe
        self._slots = threading.BoundedSemaphore(cpus)
        # One more than decode: a picture's network runs in the thread that decoded it where there is room.
        self._threads = ThreadPoolExecutor(cpus + 1, thread_name_prefix="picture")

    async def run(self, work: Callable[[], T]) -> T:
        """Work that would hold up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def classify(self, loaded: Loaded, encoded: Sequence[bytes], caller: Caller) -> Classified:
        """Raises BadRequestError, UnwantedError, ClosedError, TimeoutError, and whatever the network raises."""
        started, total = time.perf_counter(), len(encoded)
        positions = [f"picture {index} of {total}: " for index in range(1, total + 1)] if total > 1 else [""]
        pictures = [_Picture(*each, caller) for each in zip(encoded, positions, strict=True)]
        for picture in pictures:
            self._threads.submit(self._work, loaded, picture)
        rows = [picture.row for picture in pictures]
        try:
            async with asyncio.timeout(caller.seconds()):
                logits = np.stack(await asyncio.gather(*rows)) if total > 1 else (await rows[0])[np.newaxis]
        finally:  # after a fault nothing more of this request is computed
            for row in rows:
                row.cancel()
        decoded = max(picture.decoded for picture in pictures)
        return Classified(logits=logits, decoding=decoded - started, network=time.perf_counter() - decoded)

    def _work(self, loaded: Loaded, picture: _Picture) -> None:
        try:
            inputs = self._decode(loaded, picture)
            answer = loaded.batcher.offer(inputs, wanted=picture.wanted)
        except BaseException as error:
            answer = Future()
            answer.set_exception(error)
        answer.add_done_callback(picture.finish)

    def _decode(self, loaded: Loaded, picture: _Picture) -> FloatArray:
        with self._slots:
            if not picture.wanted():
                raise UnwantedError("its caller waits no longer")
            started = time.perf_counter()
            preprocessing = loaded.predictor.preprocessing
            inputs = codec.decode(
                picture.encoded, preprocessing, max_pixels=self._max_pixels, position=picture.position
            )
            picture.decoded = time.perf_counter()
            self._observe(picture.decoded - started)
            return inputs
