"""From encoded pictures to logits: decoders on all CPUs while the network works on what is decoded already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from contract.preprocess import FloatArray
from serve import codec
from serve.batcher import Batcher, UnwantedError
from serve.loader import Loaded


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


class Pipeline:
    """At most as many decoders as CPUs, which bounds memory too. `observe` is told each picture's decoding seconds."""

    def __init__(self, *, cpus: int, max_pixels: int, observe: Callable[[float], None]) -> None:
        self._max_pixels, self._observe = max_pixels, observe
        self._slots = threading.BoundedSemaphore(cpus)
        self._decoders = ThreadPoolExecutor(cpus, thread_name_prefix="decoder")  # threads are made when first needed

    def classify(self, loaded: Loaded, pictures: Sequence[bytes], caller: Caller) -> Classified:
        """Raises BadRequestError, UnwantedError, ClosedError, TimeoutError, and whatever the network raises."""
        started = time.perf_counter()
        if len(pictures) > 1:
            return self._many(loaded, pictures, caller, started)
        inputs = self._decode(loaded, pictures[0], "", caller)
        decoded = time.perf_counter()
        row = loaded.batcher.classify(inputs, timeout=caller.seconds(), wanted=caller.waits)
        return Classified(logits=row[np.newaxis], decoding=decoded - started, network=time.perf_counter() - decoded)

    def _many(self, loaded: Loaded, pictures: Sequence[bytes], caller: Caller, started: float) -> Classified:
        total = len(pictures)
        decoding = [
            self._decoders.submit(self._decode, loaded, picture, f"picture {index} of {total}: ", caller)
            for index, picture in enumerate(pictures, 1)
        ]
        answers: list[Future[FloatArray]] = []
        try:
            for inputs in decoding:
                answers += loaded.batcher.submit([inputs.result()], wanted=caller.waits)
            decoded = time.perf_counter()
            logits = np.stack([Batcher.result(answer, caller.seconds()) for answer in answers])
        finally:  # after a fault nothing more of this request is computed
            for future in (*decoding, *answers):
                future.cancel()
        return Classified(logits=logits, decoding=decoded - started, network=time.perf_counter() - decoded)

    def _decode(self, loaded: Loaded, picture: bytes, position: str, caller: Caller) -> FloatArray:
        with self._slots:
            if not caller.waits():
                raise UnwantedError("its caller waits no longer")
            started = time.perf_counter()
            preprocessing = loaded.predictor.preprocessing
            inputs = codec.decode(picture, preprocessing, max_pixels=self._max_pixels, position=position)
            self._observe(time.perf_counter() - started)
            return inputs
