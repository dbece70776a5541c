"""Measures training on a device, the loader that feeds it, and the operations a picture takes. Needs torch.

    python -m benchmarks.throughput.device JSON

JSON holds device (cuda, cpu, or empty to measure only the loader), model, side, batch, steps, rounds, threads (a list)
and pictures (a folder of class folders). Prints JSON lines: {"name", "round", "value"}, in pictures a second;
{"name", "error"} for a measurement that cannot run; and once {"flops", "gpu"}: the operations of a training step for
one picture (forward and backward; a multiply-add counts as two), and the device's name.
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
class Settings:
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
        """An epoch's pictures: the folder's, repeated as often as needed. Each repetition is cropped differently."""
        distinct = jobs.pictures(self.pictures)
        return (distinct * -(-self.batch * self.steps // len(distinct)))[: self.batch * self.steps]


def main(text: str) -> None:
    torch.backends.cudnn.benchmark = True  # as in the product's worker
    values = json.loads(text)
    settings = Settings(**{**values, "pictures": Path(values["pictures"]), "threads": tuple(values["threads"])})
    gpu = torch.cuda.get_device_name() if settings.device == "cuda" else ""
    emit({"flops": flops(settings), "gpu": gpu})
    with tempfile.TemporaryDirectory() as folder:
        candidates = {f"decoding, {count} threads": decoding(settings, count) for count in settings.threads}
        if settings.device:
            candidates |= on_device(settings, Path(folder))
        broken: set[str] = set()
        for number in range(-1, settings.rounds):  # the first round warms up and is not counted
            for name, rate in candidates.items():
                if name not in broken and not report(name, rate, number):
                    broken.add(name)


def report(name: str, rate: Rate, number: int) -> bool:
    """Measures a candidate and prints the line; False when the candidate cannot run."""
    try:
        value = rate()
    except Exception as error:  # the table shows any error of a compiler or driver
        emit({"name": name, "error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"})
        return False
    if number >= 0:
        emit({"name": name, "round": number, "value": value})
    return True


def on_device(settings: Settings, folder: Path) -> dict[str, Rate]:
    """The product on JPEG files, the same network on tensors in device memory, then each option for speed."""
    ranks = Ranks(device=torch.device(settings.device))
    config = jobs.steady(settings.config, ranks.device)
    whole = jobs.index(settings.samples, name="gpu", valid=settings.samples[: settings.batch])
    made = jobs.job(config, whole, ranks, folder)
    used = jobs.placed(made)
    rates: dict[str, Rate] = {
        JPEG: lambda: worker.train_network(made, used, None).history[-1]["pictures_per_second"],
        SYNTHETIC: synthetic(made, settings, used),
    }
    for name, variant in VARIANTS.items():
        own = jobs.job(config, whole, ranks, folder)
        own.start.model.to(ranks.device, memory_format=variant.memory_format)
        rates[name] = synthetic(own, settings, variant)
    last = VARIANTS["AMP, channels_last"]
    own = jobs.job(config, whole, ranks, folder)
    own.start.model.to(ranks.device, memory_format=last.memory_format)
    return {**rates, COMPILED: synthetic(own, settings, last, compiled=True)}


def synthetic(made: Job, settings: Settings, used: Precision, *, compiled: bool = False) -> Rate:
    """The product's loop on one batch that is already in device memory."""
    shape = (settings.batch, 3, settings.side, settings.side)
    device = made.ranks.device
    pictures = torch.randn(shape, device=device).to(memory_format=used.memory_format)
    labels = torch.arange(settings.batch, device=device) % jobs.CLASSES

    def steps(_epoch: int, _first: int) -> Iterator[Step]:
        return (Step(inputs=pictures, labels=labels, whole=settings.batch) for _ in range(settings.steps))

    model = made.start.model
    forward: nn.Module = torch.compile(model) if compiled else model
    task = Task(
        model=model, forward=forward, steps=steps, steps_per_epoch=settings.steps, validate=lambda: VALIDATION,
        precision=used, recorded=used,
    )  # fmt: skip

    def rate() -> float:
        loop = Loop(task, made.config, made.ranks, made.store, stop=lambda: False, report=lambda _: None)
        return loop.fit(None).history[-1]["pictures_per_second"]

    return rate


def decoding(settings: Settings, threads: int) -> Rate:
    """The product's loader with augmentation, and no network."""
    samples = settings.samples[: max(settings.batch, 64 * threads)]
    scale = Preprocessing(resize=settings.config.resize, crop=settings.side)
    transform = loader.augmentation(scale, seed=0, epoch=0)
    plan: Sequence[Sequence[int]] = [
        list(range(start, min(len(samples), start + settings.batch)))
        for start in range(0, len(samples), settings.batch)
    ]

    def rate() -> float:
        began = time.perf_counter()
        decoded = sum(len(batch.labels) for batch in loader.batches(samples, plan, transform, workers=threads))
        return decoded / (time.perf_counter() - began)

    return rate


def flops(settings: Settings) -> float:
    """The operations of one picture's forward and backward pass, as torch's counter counts them."""
    model = models.build(settings.model, jobs.CLASSES).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, settings.side, settings.side)).sum().backward()
    return float(counter.get_total_flops())


def emit(values: Mapping[str, Any]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
