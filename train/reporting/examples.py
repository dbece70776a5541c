"""A few held-out pictures with the network's predictions, for the report and for the check of the export."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from torch import nn

from contract.preprocess import Preprocessing, open_picture
from train.pictures import loader
from train.pictures.index import Sample
from train.reporting.results import Example

COUNT, SIDE = 12, 160


def choose(samples: Sequence[Sample], count: int = COUNT) -> list[Sample]:
    """`count` samples, or all if there are fewer, evenly spread so that they come from many classes."""
    count = min(count, len(samples))
    return [samples[(2 * number + 1) * len(samples) // (2 * count)] for number in range(count)]


def pictures(samples: Sequence[Sample], preprocessing: Preprocessing, *, workers: int) -> torch.Tensor:
    """float32 (N, 3, crop, crop), prepared as in serving."""
    plan = [list(range(len(samples)))]
    return next(loader.batches(samples, plan, loader.evaluation(preprocessing), workers=workers)).pictures


def answers(
    model: nn.Module, samples: Sequence[Sample], inputs: torch.Tensor, labels: Sequence[str]
) -> tuple[Example, ...]:
    """The predictions of `model` (on the CPU) for `inputs`, with a thumbnail of each sample."""
    model.eval()
    with torch.no_grad():
        shares, guesses = model(inputs).softmax(dim=1).max(dim=1)
    return tuple(
        Example(picture=thumbnail(sample), truth=labels[sample.label], predicted=labels[guess], probability=share)
        for sample, share, guess in zip(samples, shares.tolist(), guesses.tolist(), strict=True)
    )


def thumbnail(sample: Sample) -> bytes:
    """A JPEG of at most SIDE pixels."""
    image = open_picture(sample.path.read_bytes(), shorter_side=SIDE)
    image.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()
