"""Run beside torch: what a device trains at, what feeds it, and what its work is, as JSON lines on stdout.

    python -m benchmarks.throughput.device JSON

JSON holds device (cuda, cpu, or empty to leave the device out), model, side, batch, steps, rounds, threads (a list) and
pictures (a folder of class folders). Lines are {"name", "round", "value"}: pictures a second; {"name", "error"}: what
cannot run; and once {"flops", "gpu"}: operations of a training step for one picture (forward and backward, a
multiply-add is two), and the device's name.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.throughput import jobs
from benchmarks.throughput.models import VALIDATION
from contract import models
from contract.hyperparameters import Hyperparameters
from contract.preprocess import Preprocessing
from train import worker
from train.job import Job
from train.learning.distributed import Ranks
from train.learning.loop import Loop, Step, Task
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Sample

JPEG, SYNTHETIC = "JPEG to step", "synthetic"
VARIANTS = {
    "fp32": Precision(),
    "AMP": Precision(name="bf16"),
    "AMP, channels_last": Precision(name="bf16", channels_last=True),
}
COMPILED = "AMP, channels_last, compiled"
Rate = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Asked:
    device: str
    model: str
    side: int
    batch: int
    steps: int
    rounds: int
    threads: tuple[int, ...]
    pictures: Path

    @property
    def config(self) -> Hyperparameters:
        return Hyperparameters(
            model=self.model, freeze_backbone=False, crop=self.side, resize=max(256, self.side),
            batch_size=self.batch, epochs=1, learning_rate=1e-3, schedule="constant",
        )  # fmt: skip

    @property
    def samples(self) -> list[Sample]:
        """An epoch's pictures; those that are there come again as often as it takes, seen through other crops."""
        found = jobs.pictures(self.pictures)
        return (found * -(-self.batch * self.steps // len(found)))[: self.batch * self.steps]


def main(text: str) -> None:
    torch.backends.cudnn.benchmark = True  # as the product's worker has it
    values = json.loads(text)
    asked = Asked(**{**values, "pictures": Path(values["pictures"]), "threads": tuple(values["threads"])})
    gpu = torch.cuda.get_device_name() if asked.device == "cuda" else ""
    say({"flops": flops(asked), "gpu": gpu})
    with tempfile.TemporaryDirectory() as folder:
        contestants = {f"decoding, {count} threads": decoding(asked, count) for count in asked.threads}
        if asked.device:
            contestants |= on_device(asked, Path(folder))
        broken: set[str] = set()
        for number in range(-1, asked.rounds):  # one round before is not counted
            for name, rate in contestants.items():
                if name not in broken and not tell(name, rate, number):
                    broken.add(name)


def tell(name: str, rate: Rate, number: int) -> bool:
    """A line of what a contestant measured; False when it cannot run."""
    try:
        value = rate()
    except Exception as error:  # whatever a compiler or a driver raises belongs in the table
        say({"name": name, "error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"})
        return False
    if number >= 0:
        say({"name": name, "round": number, "value": value})
    return True


def on_device(asked: Asked, folder: Path) -> dict[str, Rate]:
    """The product on JPEG files, the same network on tensors that lie on the device, then each lever by itself."""
    ranks = Ranks(device=torch.device(asked.device))
    config = jobs.steady(asked.config, ranks.device)
    whole = jobs.index(asked.samples, name="gpu", valid=asked.samples[: asked.batch])
    made = jobs.job(config, whole, ranks, folder)
    used = jobs.placed(made)
    found: dict[str, Rate] = {
        JPEG: lambda: worker.train_network(made, used, None).history[-1]["pictures_per_second"],
        SYNTHETIC: synthetic(made, asked, used),
    }
    for name, variant in VARIANTS.items():
        own = jobs.job(config, whole, ranks, folder)
        own.start.model.to(ranks.device, memory_format=variant.memory_format)
        found[name] = synthetic(own, asked, variant)
    last = VARIANTS["AMP, channels_last"]
    own = jobs.job(config, whole, ranks, folder)
    own.start.model.to(ranks.device, memory_format=last.memory_format)
    return {**found, COMPILED: synthetic(own, asked, last, compiled=True)}


def synthetic(made: Job, asked: Asked, used: Precision, *, compiled: bool = False) -> Rate:
    """The product's loop on one batch that lies on the device already."""
    shape = (asked.batch, 3, asked.side, asked.side)
    device = made.ranks.device
    pictures = torch.randn(shape, device=device).to(memory_format=used.memory_format)
    labels = torch.arange(asked.batch, device=device) % jobs.CLASSES

    def steps(_epoch: int, _first: int) -> Iterator[Step]:
        return (Step(inputs=pictures, labels=labels, whole=asked.batch) for _ in range(asked.steps))

    model = made.start.model
    forward: nn.Module = torch.compile(model) if compiled else model
    task = Task(
        model=model, forward=forward, steps=steps, steps_per_epoch=asked.steps, validate=lambda: VALIDATION,
        precision=used, recorded=used,
    )  # fmt: skip

    def rate() -> float:
        loop = Loop(task, made.config, made.ranks, made.store, stop=lambda: False, report=lambda _: None)
        return loop.fit(None).history[-1]["pictures_per_second"]

    return rate


def decoding(asked: Asked, threads: int) -> Rate:
    """The product's loader alone, with augmentation."""
    samples = asked.samples[: max(asked.batch, 64 * threads)]
    scale = Preprocessing(resize=asked.config.resize, crop=asked.side)
    transform = loader.augmentation(scale, seed=0, epoch=0)
    plan: Sequence[Sequence[int]] = [
        list(range(start, min(len(samples), start + asked.batch))) for start in range(0, len(samples), asked.batch)
    ]

    def rate() -> float:
        began = time.perf_counter()
        seen = sum(len(batch.labels) for batch in loader.batches(samples, plan, transform, workers=threads))
        return seen / (time.perf_counter() - began)

    return rate


def flops(asked: Asked) -> float:
    """Counted, not estimated: torch's own counter over one picture's forward and backward pass."""
    model = models.build(asked.model, jobs.CLASSES).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, asked.side, asked.side)).sum().backward()
    return float(counter.get_total_flops())


def say(values: Mapping[str, Any]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
