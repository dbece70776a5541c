"""fastai's Learner on its own DataLoaders, split into body and head; `freeze` freezes the body.

train_bn=False and BnFreeze keep a frozen body's BatchNorm unchanged. With fastai's default it would learn, which costs
a backward pass through the whole network. `fast` is to_channelslast without AMP: fastai's AMP names the device "cuda",
so its own options cannot enable bf16 on a CPU.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from fastai.callback.channelslast import ChannelsLast  # noqa: F401  patches Learner.to_channelslast
from fastai.callback.core import Callback
from fastai.callback.training import BnFreeze
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import SGD
from fastai.torch_core import params
from fastai.vision.augment import FlipItem, Normalize, RandomResizedCrop
from fastai.vision.data import ImageDataLoaders
from torch import nn

from benchmarks.training import network
from benchmarks.training.job import Job, digest, read_job
from benchmarks.training.record import Record
from contract import models


class Stopwatch(Callback):
    """Connects the learner's hooks to the record."""

    order = 90

    def __init__(self, record: Record) -> None:
        self.record, self.testing = record, False

    def before_train(self) -> None:
        self.record.begin()

    def after_batch(self) -> None:
        if self.training:
            self.record.step(float(self.learn.loss))

    def after_train(self) -> None:
        self.record.trained()

    def after_validate(self) -> None:
        if self.testing:
            self.record.tested()
        else:
            self.record.validated()


class Parts(nn.Module):
    """The network as body and head, for the splitter."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.head = models.head_of(model)
        models.attach_head(model, nn.Identity(), models.head_name(model))
        self.body = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.body(pictures))
        return result


def main(job: Job) -> None:
    begun = network.start(job)
    loaders = ImageDataLoaders.from_folder(
        job.data,
        train="train",
        valid="valid",
        bs=job.batch,
        val_bs=job.batch,
        num_workers=job.workers,
        persistent_workers=True,
        item_tfms=[RandomResizedCrop(job.crop, min_scale=0.08), FlipItem(0.5)],
        batch_tfms=Normalize.from_stats(begun.mean, begun.std, cuda=False),
    )
    stopwatch, network_parts = Stopwatch(Record()), Parts(begun.model)
    learner = Learner(
        loaders,
        network_parts,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=partial(SGD, mom=0.9),
        lr=job.rate,
        splitter=lambda parts: [params(parts.body), params(parts.head)],
        metrics=accuracy,
        train_bn=not job.frozen,
        wd=1e-4,
        path=job.output,
        cbs=[stopwatch, *([BnFreeze()] * job.frozen)],
    )
    _train(learner, job)
    top1 = float(learner.recorder.values[-1][-1])
    if job.has_test:
        top1 = _test(learner, job, stopwatch)
    models.attach_head(network_parts.body, network_parts.head, "fc")
    trained = network.count(network.learning(network_parts.body))
    network.save(network_parts.body, job)
    stopwatch.record.outcome(trained=trained, files=digest(loaders.train.items), top1=top1).write(job.output)


def _train(learner: Any, job: Job) -> None:
    if job.fast:
        learner.to_channelslast(use_amp=False)
    if job.frozen:
        learner.freeze()
    else:
        learner.unfreeze()
    with learner.no_bar(), learner.no_logging():
        learner.fit(job.epochs)


def _test(learner: Any, job: Job, stopwatch: Stopwatch) -> float:
    """Top-1 on the test split, computed by `Learner.validate`."""
    files = sorted((job.data / "test").rglob("*.jpg"))
    loader = learner.dls.test_dl(files, with_labels=True)
    stopwatch.testing = True
    stopwatch.record.begin()
    with learner.no_bar(), learner.no_logging():
        _, top1 = learner.validate(dl=loader)
    return float(top1)


if __name__ == "__main__":
    main(read_job(Path(sys.argv[1])))
