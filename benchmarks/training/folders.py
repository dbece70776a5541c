"""Loaders for pictures in class folders, with torchvision's ImageFolder and the transforms of its reference recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.training.job import Job
from benchmarks.training.network import Start


def loaders(job: Job, start: Start) -> dict[str, Any]:
    """One loader for each split, by name."""
    splits = ("train", "valid", "test") if job.has_test else ("train", "valid")
    return {split: loader(job, start, split) for split in splits}


def loader(job: Job, start: Start, split: str) -> Any:
    """A split's loader, whose workers persist from epoch to epoch."""
    learning = split == "train"
    return DataLoader(
        dataset(job.data / split, start, resize=job.resize, crop=job.crop, augment=learning),
        batch_size=job.batch,
        shuffle=learning,
        num_workers=job.workers,
        persistent_workers=job.workers > 0,
    )


def dataset(folder: Path, start: Start, *, resize: int, crop: int, augment: bool) -> Any:
    """A folder's pictures with random crops and flips (`augment`), or center crops."""
    if augment:
        shape = [transforms.RandomResizedCrop(crop, antialias=True), transforms.RandomHorizontalFlip()]
    else:
        shape = [transforms.Resize(resize, antialias=True), transforms.CenterCrop(crop)]
    scale = [transforms.PILToTensor(), transforms.ConvertImageDtype(torch.float)]
    return ImageFolder(str(folder), transforms.Compose([*shape, *scale, transforms.Normalize(start.mean, start.std)]))
