"""A plain training loop after torchvision's reference recipe for classification.

ImageFolder and DataLoader, random resized crops and flips, SGD with momentum, a validation after each epoch. A frozen
backbone stays in eval mode, as the transfer learning tutorials say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.training import folders, network
from benchmarks.training.job import Job, digest, read_job
from benchmarks.training.record import Record


def main(job: Job) -> None:
    begun = network.start(job)
    model = begun.model
    if job.frozen:
        network.freeze(model)
    learning = network.learning(model)
    optimizer = torch.optim.SGD(learning, lr=job.rate, momentum=0.9, weight_decay=1e-4)
    loaders = folders.loaders(job, begun)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=job.epochs)
    record, top1 = Record(), 0.0
    for _ in range(job.epochs):
        record.begin()
        train(model, loaders["train"], optimizer, job, record)
        schedule.step()
        record.trained()
        top1 = accuracy(model, loaders["valid"])
        record.validated()
    if job.has_test:
        top1 = accuracy(model, loaders["test"])
        record.tested()
    network.save(model, job)
    files = digest(path for path, _ in loaders["train"].dataset.samples)
    record.outcome(trained=network.count(learning), files=files, top1=top1).write(job.output)


def train(model: nn.Module, loader: Any, optimizer: Any, job: Job, record: Record) -> None:
    """An epoch's steps."""
    model.train(not job.frozen)
    for pictures, labels in loader:
        loss = nn.functional.cross_entropy(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        record.step(loss.item())


@torch.inference_mode()
def accuracy(model: nn.Module, loader: Any) -> float:
    """Top-1 on a split."""
    model.eval()
    hits = total = 0
    for pictures, labels in loader:
        hits += int((model(pictures).argmax(dim=1) == labels).sum())
        total += len(labels)
    return hits / total


if __name__ == "__main__":
    main(read_job(Path(sys.argv[1])))
