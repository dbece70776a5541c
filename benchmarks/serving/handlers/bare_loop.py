"""A loop of decoding and forward passes without a server.

    python -m benchmarks.serving.handlers.bare_loop DIRECTORY BATCH ENGINE

Runs in our serving environment, with our server's decoder, engine and threads. Prints JSON: "alone", pictures a second
when one thread decodes each batch before it is run; "beside", the same when all cores decode; and "answers".
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.serving.handlers import network
from contract.machine import this_machine
from contract.preprocess import FloatArray
from serve.codec import softmax
from serve.predictor import load

Decoded = Callable[[Sequence[bytes]], Iterable[FloatArray]]


def loop(pictures: Sequence[bytes], batch: int, decoded: Decoded, forward: Callable[[FloatArray], FloatArray]) -> float:
    """Seconds for all pictures, `batch` at a time."""
    began = time.perf_counter()
    for at in range(0, len(pictures), batch):
        forward(np.stack(list(decoded(pictures[at : at + batch]))))
    return time.perf_counter() - began


def main(folder: Path, batch: int, engine: str) -> None:
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    predictor = load(network.folder(), this_machine(network.cpus()), engine_name=engine)
    decode = network.decoder()

    def one(some: Sequence[bytes]) -> Iterable[FloatArray]:
        return map(decode, some)

    with ThreadPoolExecutor(network.cpus()) as pool:

        def all_cores(some: Sequence[bytes]) -> Iterable[FloatArray]:
            return pool.map(decode, some)

        loop(pictures[: 2 * batch], batch, all_cores, predictor.logits)
        alone, beside = (len(pictures) / loop(pictures, batch, way, predictor.logits) for way in (one, all_cores))
    answers = softmax(predictor.logits(np.stack(list(one(pictures[:batch])))))
    print(json.dumps({"alone": alone, "beside": beside, "answers": answers.tolist()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
