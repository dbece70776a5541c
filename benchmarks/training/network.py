"""The network that every peer trains: Kennel's own (contract/models.py), from the same weights. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.training.job import MODEL, Job
from contract import models

ARCHITECTURE = "resnet50"


@dataclass(frozen=True, kw_only=True)
class Start:
    """The network with a fresh head by the job's seed, and the scale of its inputs."""

    model: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    labels: tuple[str, ...]


def start(job: Job) -> Start:
    """The same for each peer."""
    labels = tuple(sorted(path.name for path in (job.data / "train").iterdir() if path.is_dir()))
    weights = models.read_weights(job.weights, architecture=ARCHITECTURE)
    torch.manual_seed(job.seed)
    model = models.build(ARCHITECTURE, len(labels), weights.variant)
    models.load(model, weights)
    return Start(model=model, mean=weights.mean, std=weights.std, labels=labels)


def freeze(model: nn.Module) -> None:
    """Only the head learns."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in models.head_of(model).parameters():
        parameter.requires_grad = True


def learning(model: nn.Module) -> list[Any]:
    """The parameters that learn."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count(parameters: Iterable[Any]) -> int:
    """Numbers in `parameters`."""
    return sum(int(parameter.numel()) for parameter in parameters)


def save(model: nn.Module, job: Job) -> None:
    """The trained network, where the judge finds it."""
    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    torch.save(state, job.output / MODEL)
