"""Times the pass from JPEGs to features beside bare forward passes, network by network. Needs torch.

    python -m benchmarks.throughput.features FOLDER PICTURES ROUNDS NETWORK…

Prints JSON lines {"model", "round", "ours", "bare", "abreast", "plain", "decode" (ms a picture), "off", "precision"}:

ours       the product's pass from files
bare       the same folded network, in the same precision and layout, on pictures already decoded and cast in memory;
           all threads share each batch
abreast    bare, with one batch for each thread
plain      a straightforward float32 forward pass on decoded pictures
decode     CPU time to read and decode a picture
off        the distance of our features from plain's, as a share of their length

All are measured in turns in one process.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.throughput import jobs
from benchmarks.throughput.models import headless
from contract.hyperparameters import Hyperparameters
from contract.preprocess import Preprocessing
from train.learning import features, precision
from train.learning.distributed import Ranks
from train.learning.features import Extractor
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Sample

VIEW = loader.evaluation(Preprocessing())
Work = Callable[[], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One network twice, unchanged and in the product's layout; `decoded` is float32 (N, 3, 224, 224)."""

    plain: nn.Module
    network: nn.Module
    used: Precision
    samples: Sequence[Sample]
    decoded: torch.Tensor


def bench(name: str, samples: Sequence[Sample]) -> Bench:
    """A network with random weights, in the precision that the product chooses for it on this machine."""
    config = Hyperparameters(model=name, freeze_backbone=True)
    made = jobs.job(config, jobs.index(samples, name=name), Ranks(), Path())
    used = precision.choose(config, made.start.model, made.ranks.device)
    decoded = torch.from_numpy(np.stack([VIEW(sample.path, 0) for sample in samples]))
    network = headless(made.start.model).to(memory_format=used.memory_format)
    return Bench(plain=headless(made.start.model).eval(), network=network, used=used, samples=samples, decoded=decoded)


def ours(made: Bench) -> Work:
    workers = torch.get_num_threads()  # as Job.workers
    extractor = Extractor(
        backbone=made.network, ranks=Ranks(), precision=made.used, workers=workers, folder=None, key=""
    )
    return lambda: extractor.split("train", made.samples, [VIEW], lambda _: None).values[0]


def bare(made: Bench) -> Work:
    network, batches = ready(made)

    def work() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([network(batch).float().flatten(1) for batch in batches])

    return work


def abreast(made: Bench) -> Work:
    network, batches = ready(made)
    threads = torch.get_num_threads()

    def forward(batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            outputs: torch.Tensor = network(batch).float().flatten(1)
            return outputs

    def work() -> torch.Tensor:
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                return torch.cat(list(pool.map(forward, batches)))
        finally:
            torch.set_num_threads(threads)

    return work


def plain(made: Bench) -> Work:
    def work() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([made.plain(batch).flatten(1) for batch in made.decoded.split(features.BATCH)])

    return work


def ready(made: Bench) -> tuple[nn.Module, list[torch.Tensor]]:
    """The network as the product prepares it for features, and the pictures cast to its precision and layout."""
    kind = torch.bfloat16 if made.used.name == "bf16" else torch.float32
    layout = made.used.memory_format
    network = features.inference(made.network).to(dtype=kind, memory_format=layout)
    return network, [part.to(kind, memory_format=layout) for part in made.decoded.split(features.BATCH)]


def decoding(samples: Sequence[Sample]) -> float:
    """CPU ms a picture."""
    began = time.thread_time()
    for sample in samples:
        VIEW(sample.path, 0)
    return (time.thread_time() - began) / len(samples) * 1000


def measure(name: str, samples: Sequence[Sample], rounds: int) -> Iterator[dict[str, object]]:
    """One row for each round, after a warm-up round."""
    made = bench(name, samples)
    works = {"ours": ours(made), "bare": bare(made), "abreast": abreast(made), "plain": plain(made)}
    outputs = {kind: work() for kind, work in works.items()}
    off = float((outputs["ours"] - outputs["plain"]).norm() / outputs["plain"].norm())
    for number in range(rounds):
        row: dict[str, object] = {"model": name, "round": number, "off": off, "precision": made.used.name}
        for kind, work in works.items():
            began = time.perf_counter()
            work()
            row[kind] = (time.perf_counter() - began) / len(samples) * 1000
        yield row | {"decode": decoding(samples)}


def main(argv: Sequence[str]) -> None:
    folder, count, rounds = Path(argv[0]), int(argv[1]), int(argv[2])
    samples = jobs.pictures(folder)[:count]
    for name in argv[3:]:
        for row in measure(name, samples, rounds):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
