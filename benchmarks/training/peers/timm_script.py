"""timm, put together from its own parts like its train script, which is not in its package.

create_dataset, create_loader with the prefetcher, ClassificationTask, create_optimizer_v2, create_scheduler_v2,
AverageMeter and accuracy; `freeze` for the backbone, which turns BatchNorm into FrozenBatchNorm2d, as its docs advise.
Augmentation is limited to crops and flips, as for the other trainers. `fast` is --amp --amp-dtype bfloat16
--channels-last.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.task import ClassificationTask
from timm.utils import AverageMeter, accuracy
from timm.utils import freeze as freeze_modules

from benchmarks.training import network
from benchmarks.training.job import Job, digest, read_job
from benchmarks.training.record import Record

DEVICE = torch.device("cpu")


def main(job: Job) -> None:
    begun = network.start(job)
    model = begun.model
    if job.frozen:
        freeze_modules(model, [name for name, _ in model.named_children() if name != "fc"])
    if job.fast:
        model.to(memory_format=torch.channels_last)
    task = ClassificationTask(model, criterion=torch.nn.CrossEntropyLoss(), device=DEVICE, verbose=False)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=job.rate, momentum=0.9, weight_decay=1e-4)
    loaders = {split: make(job, begun, split) for split in ("train", "valid", *(["test"] * job.has_test))}
    schedule, _ = create_scheduler_v2(optimizer, sched="cosine", num_epochs=job.epochs)
    record, top1 = Record(), 0.0
    for epoch in range(job.epochs):
        record.begin()
        train(task, loaders["train"], optimizer, job, record)
        record.trained()
        top1 = validate(model, loaders["valid"], job)
        record.validated()
        schedule.step(epoch + 1)
    if job.has_test:
        top1 = validate(model, loaders["test"], job)
        record.tested()
    network.save(model, job)
    names = loaders["train"].loader.dataset.filenames(absolute=True)
    trained = network.count(network.learning(model))
    record.outcome(trained=trained, files=digest(names), top1=top1).write(job.output)


def make(job: Job, begun: network.Start, split: str) -> Any:
    """A split's loader."""
    learning = split == "train"
    dataset = create_dataset("", root=str(job.data), split=split, is_training=learning, batch_size=job.batch)
    return create_loader(
        dataset,
        input_size=(3, job.crop, job.crop),
        batch_size=job.batch,
        is_training=learning,
        hflip=0.5,
        color_jitter=0.0,
        interpolation="bilinear",
        crop_pct=job.crop / job.resize,
        mean=begun.mean,
        std=begun.std,
        num_workers=job.workers,
        device=DEVICE,
    )


def train(task: Any, loader: Any, optimizer: Any, job: Job, record: Record) -> None:
    """An epoch's steps."""
    task.get_trainable_module().train()
    losses, autocast = AverageMeter(), _autocast(job)
    optimizer.zero_grad()
    for pictures, labels in loader:
        inputs = pictures.contiguous(memory_format=torch.channels_last) if job.fast else pictures
        with autocast():
            loss = task(inputs, labels)["loss"]
        loss.backward()
        optimizer.step()
        losses.update(loss.item(), len(labels))
        optimizer.zero_grad()
        record.step(losses.val)


def validate(model: Any, loader: Any, job: Job) -> float:
    """Top-1 on a split."""
    model.eval()
    top1, autocast = AverageMeter(), _autocast(job)
    with torch.inference_mode():
        for pictures, labels in loader:
            inputs = pictures.contiguous(memory_format=torch.channels_last) if job.fast else pictures
            with autocast():
                answers = model(inputs)
            top1.update(accuracy(answers, labels, topk=(1,))[0].item(), len(labels))
    return float(top1.avg) / 100


def _autocast(job: Job) -> Any:
    return partial(torch.autocast, device_type="cpu", dtype=torch.bfloat16) if job.fast else nullcontext


if __name__ == "__main__":
    main(read_job(Path(sys.argv[1])))
