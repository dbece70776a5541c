"""Loss, accuracy and confusion of a network on a split, each picture counted once over all ranks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from train.learning import distributed
from train.learning.distributed import Ranks, Stopped
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Sample
from train.pictures.loader import Transform

TOP = 5


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over all pictures of a split. `confusion` int (C, C) counts pictures: rows truth, columns prediction."""

    loss: float
    top1: float
    top5: float
    confusion: npt.NDArray[np.int64]


class Tally:
    """Sums over batches of logits (N, C) and labels (N,), then over ranks."""

    def __init__(self, classes: int) -> None:
        self._loss, self._hits, self._near, self._count = 0.0, 0, 0, 0
        self._confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        logits, labels = logits.detach().float().cpu(), labels.cpu()
        self._loss += float(nn.functional.cross_entropy(logits.double(), labels, reduction="sum"))
        ranked = logits.topk(min(TOP, logits.shape[1])).indices
        hits = ranked == labels[:, None]
        self._hits += int(hits[:, 0].sum())
        self._near += int(hits.sum())
        self._count += len(labels)
        self._confusion.index_put_((labels, ranked[:, 0]), torch.ones_like(labels), accumulate=True)

    def result(self, *, over_ranks: bool = True) -> Evaluation:
        """The means; with `over_ranks` over the pictures of all ranks, which must be disjoint."""
        sums = [self._loss, float(self._hits), float(self._near), float(self._count)]
        confusion = self._confusion
        if over_ranks:
            sums, confusion = distributed.total(sums), distributed.sum_array(confusion.clone())
        loss, hits, near, count = sums
        if not count:
            raise ValueError("nothing was evaluated: the split is empty")
        return Evaluation(loss=loss / count, top1=hits / count, top5=near / count, confusion=confusion.numpy())


def plan(count: int, batch_size: int, ranks: Ranks) -> list[list[int]]:
    """This rank's batches of a split of `count` pictures. Together the ranks have each picture exactly once."""
    whole = [list(range(start, min(count, start + batch_size))) for start in range(0, count, batch_size)]
    return whole[ranks.rank :: ranks.world_size]


def evaluate(
    model: nn.Module,
    samples: Sequence[Sample],
    transform: Transform,
    *,
    classes: int,
    ranks: Ranks,
    precision: Precision,
    batch_size: int,
    workers: int,
    stop: Callable[[], bool] = lambda: False,
    advance: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Runs `model` in eval mode over `samples`, divided among ranks. Raises Stopped on all after a stop signal."""
    tally = Tally(classes)
    model.eval()
    distributed.broadcast_buffers(model)
    batches = loader.batches(samples, plan(len(samples), batch_size, ranks), transform, workers=workers)
    rounds = -(-len(samples) // (batch_size * ranks.world_size))
    with torch.no_grad(), precision.autocast(ranks.device):
        for number in range(rounds):  # a rank without a batch in the last round must still take part
            if distributed.any_rank(stop()):
                raise Stopped(f"while evaluating, in round {number + 1} of {rounds}")
            for batch in itertools.islice(batches, 1):
                pictures = batch.pictures.to(ranks.device, memory_format=precision.memory_format, non_blocking=True)
                tally.add(model(pictures), batch.labels)
                advance(len(batch.labels) * ranks.world_size)
    return tally.result()
