"""The network that every peer trains: Kennel's (contract/models.py), from the same weights. Needs torch."""

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
    """The network with a new head, initialised from the job's seed, and the mean and deviation of its inputs."""

    model: nn.Module
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    labels: tuple[str, ...]


def start(job: Job) -> Start:
    """The network at the start of training, the same for every peer."""
    labels = tuple(sorted(path.name for path in (job.data / "train").iterdir() if path.is_dir()))
    weights = models.read_weights(job.weights, architecture=ARCHITECTURE)
    torch.manual_seed(job.seed)
    model = models.build(ARCHITECTURE, len(labels), weights.variant)
    models.load(model, weights)
    return Start(model=model, mean=weights.mean, std=weights.std, labels=labels)


def freeze(model: nn.Module) -> None:
    """Makes only the head trainable."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in models.head_of(model).parameters():
        parameter.requires_grad = True


def learning(model: nn.Module) -> list[Any]:
    """The trainable parameters."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count(parameters: Iterable[Any]) -> int:
    """How many numbers `parameters` hold."""
    return sum(int(parameter.numel()) for parameter in parameters)


def save(model: nn.Module, job: Job) -> None:
    """Writes the trained network to the job's output, for evaluate.py."""
    state = {name: value.detach().contiguous() for name, value in model.state_dict().items()}
    torch.save(state, job.output / MODEL)
