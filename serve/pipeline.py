"""Takes a request's pictures to logits: threads decode on all CPUs while the network computes the decoded ones.

The event loop hands each picture to a thread here and wakes once per picture, when its logits are ready.
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
from serve.caller import Caller, CallerGoneError
from serve.loader import Loaded

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Logits float32 (pictures, labels), the seconds until the last picture was decoded, and the seconds after that."""

    logits: FloatArray
    decoding: float
    network: float


class _Picture:
    """One picture in progress. Threads decode and classify it; the event loop sets `row`, its logits (labels,)."""

    def __init__(self, encoded: bytes, position: str, caller: Caller) -> None:
        self.encoded, self.position, self.caller = encoded, position, caller
        self.decoded = 0.0  # the moment (time.perf_counter) when decoding ended
        self._loop = asyncio.get_running_loop()
        self.row: asyncio.Future[FloatArray] = self._loop.create_future()

    def finish(self, answer: Future[FloatArray]) -> None:
        """Passes the answer on to the event loop. Any thread may call it."""
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
    """Decodes at most one picture per CPU at a time, which also bounds memory. `observe` gets the seconds of each."""

    def __init__(self, *, cpus: int, max_pixels: int, observe: Callable[[float], None]) -> None:
        self._max_pixels, self._observe = max_pixels, observe
        self._slots = threading.BoundedSemaphore(cpus)
        # One more than may decode: a thread that has decoded a picture also runs the network on it when that is free.
        self._threads = ThreadPoolExecutor(cpus + 1, thread_name_prefix="picture")

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work`, which would block the event loop, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def classify(self, loaded: Loaded, encoded: Sequence[bytes], caller: Caller) -> Classified:
        """Raises BadRequestError, CallerGoneError, ClosedError, TimeoutError, and whatever the network raises."""
        started, total = time.perf_counter(), len(encoded)
        positions = [f"picture {index} of {total}: " for index in range(1, total + 1)] if total > 1 else [""]
        pictures = [_Picture(*each, caller) for each in zip(encoded, positions, strict=True)]
        for picture in pictures:
            self._threads.submit(self._work, loaded, picture)
        rows = [picture.row for picture in pictures]
        try:
            async with asyncio.timeout(caller.seconds_left()):
                logits = np.stack(await asyncio.gather(*rows)) if total > 1 else (await rows[0])[np.newaxis]
        except BaseException:
            caller.request_failed()  # so that its other pictures are not computed
            for row in rows:
                row.cancel()
            raise
        decoded = max(picture.decoded for picture in pictures)
        return Classified(logits=logits, decoding=decoded - started, network=time.perf_counter() - decoded)

    def _work(self, loaded: Loaded, picture: _Picture) -> None:
        try:
            inputs = self._decode(loaded, picture)
            answer = loaded.batcher.offer(inputs, caller=picture.caller)
        except BaseException as error:
            answer = Future()
            answer.set_exception(error)
        answer.add_done_callback(picture.finish)

    def _decode(self, loaded: Loaded, picture: _Picture) -> FloatArray:
        with self._slots:
            if not picture.caller.waits:
                raise CallerGoneError("the caller no longer waits")
            started = time.perf_counter()
            preprocessing = loaded.predictor.preprocessing
            inputs = codec.decode(
                picture.encoded, preprocessing, max_pixels=self._max_pixels, position=picture.position
            )
            picture.decoded = time.perf_counter()
            self._observe(picture.decoded - started)
            return inputs
