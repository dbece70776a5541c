"""Pictures in class folders by torchvision's ImageFolder and transforms, as its reference recipe describes them."""

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
    """A loader a split, by its name."""
    splits = ("train", "valid", "test") if job.has_test else ("train", "valid")
    return {split: loader(job, start, split) for split in splits}


def loader(job: Job, start: Start, split: str) -> Any:
    """A split's batches. Its workers stay from epoch to epoch."""
    learning = split == "train"
    return DataLoader(
        dataset(job.data / split, start, resize=job.resize, crop=job.crop, augment=learning),
        batch_size=job.batch,
        shuffle=learning,
        num_workers=job.workers,
        persistent_workers=job.workers > 0,
    )


def dataset(folder: Path, start: Start, *, resize: int, crop: int, augment: bool) -> Any:
    """Random crops and flips, or the middle."""
    if augment:
        shape = [transforms.RandomResizedCrop(crop, antialias=True), transforms.RandomHorizontalFlip()]
    else:
        shape = [transforms.Resize(resize, antialias=True), transforms.CenterCrop(crop)]
    scale = [transforms.PILToTensor(), transforms.ConvertImageDtype(torch.float)]
    return ImageFolder(str(folder), transforms.Compose([*shape, *scale, transforms.Normalize(start.mean, start.std)]))
