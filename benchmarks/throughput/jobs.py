"""Builds a rank's job as the product does, but without scanning the pictures and without checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from contract import models
from contract.hyperparameters import Hyperparameters
from contract.preprocess import Preprocessing
from train.host.environment import Environment
from train.job import Job, Start, StopSignal
from train.learning import precision
from train.learning.checkpoint import Store
from train.learning.distributed import Ranks
from train.learning.precision import Precision
from train.pictures.index import Index, Sample
from train.run import Run

CLASSES = 14  # of groceries


class Forgetful(Store):
    """Saves nothing, because writing checkpoints should not be timed."""

    def __init__(self) -> None:
        super().__init__(Path(), {})

    def save(self, step: int, state: Mapping[str, Any]) -> Path:  # noqa: ARG002  the Store's own signature
        return Path()


def pictures(folder: Path) -> list[Sample]:
    """The pictures of a folder of class folders, one of each class in turn, so that any first part has all classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    files = [(at, number, path) for number, one in enumerate(classes) for at, path in enumerate(sorted(one.iterdir()))]
    return [Sample(path=path, label=number) for _, number, path in sorted(files)]


def index(samples: Sequence[Sample], *, name: str, valid: Sequence[Sample] = ()) -> Index:
    """`name` replaces the hash of the content: features stored under another name are not reused."""
    labels = tuple(f"class {number:02d}" for number in range(CLASSES))  # the same for any part of the pictures
    return Index(labels=labels, train=tuple(samples), valid=tuple(valid), test=(), skipped=(), sha256=name)


def job(config: Hyperparameters, contents: Index, ranks: Ranks, folder: Path) -> Job:
    """A job with random weights, the same on every rank. `folder` is where features are stored."""
    torch.manual_seed(config.seed)
    scale = Preprocessing(resize=config.resize, crop=config.crop)
    start = Start(
        model=models.build(config.model, len(contents.labels)), preprocessing=scale, variant="", source="chance"
    )
    run = Run(config=config, environment=Environment(checkpoint_dir=folder), index_path=folder / "index.json")
    return Job(config=config, run=run, index=contents, ranks=ranks, start=start, store=Forgetful(), stop=StopSignal())


def steady(config: Hyperparameters, device: torch.device) -> Hyperparameters:
    """Fixes the precision by what the CPU supports. `auto` measures instead, and its result may vary between runs."""
    if device.type != "cpu" or config.precision != "auto":
        return config
    return replace(config, precision="bf16" if precision.has_bf16() else "fp32")


def placed(made: Job) -> Precision:
    """The precision that the product chooses for this job. Also moves the network to the device in that layout."""
    used = precision.choose(made.config, made.start.model, made.ranks.device)
    made.start.model.to(made.ranks.device, memory_format=used.memory_format)
    return used
