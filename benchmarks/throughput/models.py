"""Times a training step and a features pass of a plain loop and of Kennel, network by network. Needs torch.

    python -m benchmarks.throughput.models ROUNDS SIDE BATCH NETWORK…

Prints JSON lines {"model", "round", "plain_step", "our_step", "plain_features", "our_features" (ms a picture), "loss",
"features", "precision"}. "loss" is the difference of our first loss from the plain loop's, as a share; "features" is
the distance of our features from the plain ones, as a share of their length. Both sides get the same decoded pictures
and start from the same weights. They take turns in one process, so neither has the allocator settings that the product
starts its ranks with.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.throughput import jobs
from contract import models
from contract.hyperparameters import Hyperparameters
from train.job import Job
from train.learning import precision
from train.learning.distributed import Ranks
from train.learning.evaluate import Evaluation
from train.learning.features import Extractor
from train.learning.loop import Loop, Step, Task
from train.learning.precision import Precision
from train.pictures.index import Sample

RATE = 0.01
BATCHES = 4  # of a features pass
VALIDATION = Evaluation(loss=1.0, top1=0.0, top5=0.0, confusion=np.zeros((1, 1), dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One network twice, and the pictures as float32 (batch, 3, side, side)."""

    name: str
    plain: nn.Module
    job: Job
    used: Precision  # to train in
    features_precision: Precision  # to compute features in
    pictures: torch.Tensor
    labels: torch.Tensor


def bench(name: str, side: int, batch: int) -> Bench:
    settings = Hyperparameters(
        model=name, freeze_backbone=False, crop=side, resize=max(256, side), batch_size=batch, epochs=1,
        learning_rate=RATE, schedule="constant", momentum=0.9, weight_decay=1e-4,
    )  # fmt: skip
    samples = [Sample(path=Path(str(number)), label=number % jobs.CLASSES) for number in range(batch)]
    made = jobs.job(settings, jobs.index(samples, name=name), Ranks(), Path(tempfile.gettempdir()))
    plain = copy.deepcopy(made.start.model)
    # The product measures to choose a precision, so this does too.
    features_precision = precision.choose(replace(settings, freeze_backbone=True), made.start.model, made.ranks.device)
    used = jobs.placed(made)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(batch, 3, side, side, generator=generator)
    labels = torch.tensor([sample.label for sample in samples])
    return Bench(
        name=name,
        plain=plain,
        job=made,
        used=used,
        features_precision=features_precision,
        pictures=pictures,
        labels=labels,
    )


def plain_steps(made: Bench) -> Callable[[], tuple[float, float]]:
    """A step of torchvision's reference recipe: float32, torch's SGD. Returns ms a picture and the loss."""
    optimizer = torch.optim.SGD(made.plain.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()

    def step() -> tuple[float, float]:
        made.plain.train()
        torch.manual_seed(0)  # the same for both: stochastic depth and dropout change the loss of a small batch
        began = time.perf_counter()
        output = made.plain(made.pictures)
        loss = criterion(output, made.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return (time.perf_counter() - began) / len(made.labels) * 1000, float(loss.detach())

    return step


def our_steps(made: Bench) -> Callable[[], tuple[float, float]]:
    """A step of the product's loop, an epoch of one batch. Returns ms a picture (as the loop reports) and the loss."""

    def steps(_epoch: int, _first: int) -> Iterator[Step]:
        pictures = made.pictures.to(memory_format=made.used.memory_format)
        yield Step(inputs=pictures, labels=made.labels, whole=len(made.labels))

    task = Task(
        model=made.job.start.model, forward=made.job.start.model, steps=steps, steps_per_epoch=1,
        validate=lambda: VALIDATION, precision=made.used, recorded=made.used,
    )  # fmt: skip

    def step() -> tuple[float, float]:
        torch.manual_seed(0)
        loop = Loop(task, made.job.config, Ranks(), made.job.store, stop=lambda: False, report=lambda _: None)
        row = loop.fit(None).history[-1]
        return 1000 / row["pictures_per_second"], row["train_loss"]

    return step


def plain_features(made: Bench, network: nn.Module) -> Callable[[], tuple[float, torch.Tensor]]:
    """A plain pass through the frozen backbone: eval, no_grad, float32. Returns ms a picture and the features."""

    def forward() -> tuple[float, torch.Tensor]:
        network.eval()
        began = time.perf_counter()
        with torch.no_grad():
            for _ in range(BATCHES):
                rows = network(made.pictures).flatten(1)
        return (time.perf_counter() - began) / BATCHES / len(made.labels) * 1000, rows

    return forward


def our_features(made: Bench, network: nn.Module) -> Callable[[], tuple[float, torch.Tensor]]:
    """The product's features pass on pictures that need no decoding. Returns ms a picture and the features."""
    arrays, samples = made.pictures.numpy(), BATCHES * made.job.index.train
    network = network.to(memory_format=made.features_precision.memory_format)
    extractor = Extractor(
        backbone=network,
        ranks=Ranks(),
        precision=made.features_precision,
        workers=made.job.workers,
        folder=None,
        key="",
    )

    def view(_path: Path, number: int) -> Any:
        return arrays[number % len(arrays)]

    def forward() -> tuple[float, torch.Tensor]:
        began = time.perf_counter()
        extracted = extractor.split("train", samples, [view], lambda _: None)
        return (time.perf_counter() - began) / len(samples) * 1000, extracted.values[0][: len(arrays)]

    return forward


def headless(network: nn.Module) -> nn.Module:
    copied = copy.deepcopy(network)
    models.attach_head(copied, nn.Identity(), models.head_name(copied))
    return copied


def measure(name: str, rounds: int, side: int, batch: int) -> Iterator[dict[str, Any]]:
    """One row for each round, after a warm-up round."""
    made = bench(name, side, batch)
    passes = plain_features(made, headless(made.plain)), our_features(made, headless(made.job.start.model))
    steps = plain_steps(made), our_steps(made)
    losses, rows = (steps[0]()[1], steps[1]()[1]), (passes[0]()[1], passes[1]()[1])
    checked = {
        "loss": losses[1] / losses[0] - 1,
        "features": float((rows[1] - rows[0]).norm() / rows[0].norm()),
        "precision": f"{made.used.name}, features {made.features_precision.name}",
    }
    for number in range(rounds):
        times = [timed()[0] for timed in (*steps, *passes)]
        names = ("plain_step", "our_step", "plain_features", "our_features")
        yield {"model": name, "round": number, **dict(zip(names, times, strict=True)), **checked}


def main(argv: Sequence[str]) -> None:
    rounds, side, batch = (int(word) for word in argv[:3])
    for name in argv[3:]:
        for row in measure(name, rounds, side, batch):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
