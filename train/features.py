"""A frozen backbone sees each picture once (per view); what it makes of them is kept, and only the head is trained.

The pictures are cut into chunks, the same however many ranks there are; ranks take turns. Chunks are kept beside the
checkpoints, so that a resumed run computes only what is missing.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.fx.experimental import optimization

from contract.preprocess import Preprocessing
from train import distributed, loader
from train.checkpoint import PART
from train.data import Sample
from train.distributed import Ranks, Stopped
from train.evaluate import Evaluation, Tally
from train.loader import Batch, Transform
from train.loop import Step
from train.precision import Precision

BATCH = 16  # pictures in one forward pass on a CPU: larger ones fault in new memory, smaller ones fill no core
CHUNK = 64  # pictures in one file, the least that is computed twice after a kill
LARGE, LARGE_CHUNK = 20_000, 256


@dataclass(frozen=True, kw_only=True)
class Features:
    """What the backbone made of a split: `values` float32 (views, N, D), `labels` int64 (N,)."""

    values: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Computes features. `key` names everything they depend on; `folder` keeps chunks (None keeps nothing)."""

    backbone: nn.Module
    ranks: Ranks
    precision: Precision
    workers: int
    folder: Path | None
    key: str
    stop: Callable[[], bool] = lambda: False

    def split(
        self, name: str, samples: Sequence[Sample], views: Sequence[Transform], advance: Callable[[int], None]
    ) -> Features:
        """The features of `samples`, on every rank. Raises Stopped when a rank was told to stop; chunks stay."""
        labels = torch.tensor([sample.label for sample in samples], dtype=torch.int64)
        seen = [self._view(f"{name}-{number}", samples, view, advance) for number, view in enumerate(views)]
        return Features(values=torch.stack(seen), labels=labels)

    def _view(
        self, name: str, samples: Sequence[Sample], view: Transform, advance: Callable[[int], None]
    ) -> torch.Tensor:
        parts = chunks(len(samples))
        paths = [self._path(f"{name}-{number:06d}") for number in range(len(parts))]
        mine = self._kept(parts, paths)
        missing = [number for number in self._turns(parts) if number not in mine]
        fresh = self._compute(samples, [parts[number] for number in missing], view)
        for turn in range(-(-len(parts) // self.ranks.world_size)):  # as many for each rank, to agree when to stop
            number = turn * self.ranks.world_size + self.ranks.rank
            if number in missing:
                mine[number] = next(fresh)
                _write(paths[number], mine[number])
            advance(sum(len(part) for part in parts[turn * self.ranks.world_size :][: self.ranks.world_size]))
            if distributed.any_of(self.stop()):
                raise Stopped(f"while computing features of {name}; those made so far are kept")
        return _gathered(mine, parts)

    def _turns(self, parts: Sequence[Sequence[int]]) -> range:
        return range(self.ranks.rank, len(parts), self.ranks.world_size)

    def _path(self, name: str) -> Path | None:
        return self.folder / f"features-{self.key[:16]}-{name}.safetensors" if self.folder else None

    def _kept(self, parts: Sequence[Sequence[int]], paths: Sequence[Path | None]) -> dict[int, torch.Tensor]:
        read = {number: _read(paths[number], len(parts[number])) for number in self._turns(parts)}
        return {number: values for number, values in read.items() if values is not None}

    def _compute(
        self, samples: Sequence[Sample], parts: Sequence[Sequence[int]], view: Transform
    ) -> Iterator[torch.Tensor]:
        """The features of each of `parts`; pictures of the next are decoded while the backbone sees these."""
        size = BATCH if self.ranks.device.type == "cpu" else CHUNK
        cut = [[part[start : start + size] for start in range(0, len(part), size)] for part in parts]
        batches = loader.batches(samples, list(itertools.chain(*cut)), view, workers=self.workers)
        for pieces in cut:
            with torch.no_grad():
                rows = [self._forward(batch) for batch in itertools.islice(batches, len(pieces))]
            yield torch.cat(rows)

    def _forward(self, batch: Batch) -> torch.Tensor:
        network, kind = self._network
        pictures = batch.pictures.to(self.ranks.device, kind, memory_format=self.precision.memory_format)
        with self.precision.autocast(self.ranks.device) if kind == torch.float32 else nullcontext():
            rows: torch.Tensor = network(pictures)
        return rows.float().flatten(1).cpu()

    @cached_property
    def _network(self) -> tuple[nn.Module, torch.dtype]:
        """What computes the features, and of which numbers. All weights are bfloat16 where that was chosen: nothing is
        learnt here, so autocast would only cast them again for each batch. float16 overflows, and stays with autocast.
        """
        kind = torch.bfloat16 if self.precision.name == "bf16" else torch.float32
        return inference(self.backbone).to(dtype=kind, memory_format=self.precision.memory_format), kind


def inference(backbone: nn.Module) -> nn.Module:
    """A copy of `backbone` in eval mode that computes the same with fewer passes over memory.

    Each BatchNorm is folded into the convolution before it. A network that torch.fx cannot trace is only copied.
    """
    backbone.eval()
    try:
        folded: nn.Module = optimization.fuse(backbone)
    except Exception:  # whatever the network's own code raises when called with proxies
        return copy.deepcopy(backbone)
    return folded.eval()


def chunks(count: int) -> list[list[int]]:
    """The chunks of a split of `count` pictures, whatever the number of ranks."""
    size = CHUNK if count < LARGE else LARGE_CHUNK
    return [list(range(start, min(count, start + size))) for start in range(0, count, size)]


def views(preprocessing: Preprocessing, count: int, *, augment: bool, seed: int) -> list[Transform]:
    """How a training picture is seen: as in serving, then mirrored, then by random crops."""
    fixed = [loader.evaluation(preprocessing), loader.evaluation(preprocessing, mirrored=True)]
    extra = [loader.augmentation(preprocessing, seed=seed, epoch=number) for number in range(2, count)]
    return [*fixed, *extra][:count] if augment else fixed[:1]


def key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Standard(nn.Module):
    """A linear head on standardised features: the same function as a plain linear layer, but learnt far faster."""

    def __init__(self, head: nn.Linear, features: torch.Tensor) -> None:
        """`features` (…, D) set the scale; the head starts as what `head` computes."""
        super().__init__()
        rows = features.reshape(-1, features.shape[-1]).double()
        deviation, mean = torch.std_mean(rows, dim=0, correction=0)
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.clamp_min(1e-3 * float(deviation.mean()) + 1e-12).float())
        self.head = nn.Linear(head.in_features, head.out_features)
        with torch.no_grad():
            bias = head.bias if head.bias is not None else torch.zeros(head.out_features)
            self.head.weight.copy_(head.weight * self.deviation)
            self.head.bias.copy_(bias + head.weight @ self.mean)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head((features - self.mean) / self.deviation)
        return result

    def plain(self) -> nn.Linear:
        """The same function as one linear layer on the features as they come."""
        linear = nn.Linear(self.head.in_features, self.head.out_features)
        with torch.no_grad():
            weight = self.head.weight.double() / self.deviation.double()
            linear.weight.copy_(weight)
            linear.bias.copy_(self.head.bias.double() - weight @ self.mean.double())
        return linear


def steps(features: Features, batch_size: int, *, seed: int, epoch: int, first: int) -> list[Step]:
    """The steps of an epoch from `first` on; of a picture's views each epoch takes one."""
    count = len(features.labels)
    turn = np.random.default_rng((seed, epoch, 1)).integers(features.values.shape[0], size=count)
    plan = loader.epoch_batches(count, batch_size, seed=seed, epoch=epoch)[first:]
    return [
        Step(
            inputs=features.values[torch.from_numpy(turn[part]), part],
            labels=features.labels[part],
            whole=len(part),
        )
        for part in plan
    ]


def evaluate(head: nn.Module, features: Features, *, classes: int) -> Evaluation:
    """The head on the first view of a split; every rank has it all and computes the same."""
    tally = Tally(classes)
    head.eval()
    with torch.no_grad():
        tally.add(head(features.values[0]), features.labels)
    return tally.result(over_ranks=False)


def _gathered(mine: dict[int, torch.Tensor], parts: Sequence[Sequence[int]]) -> torch.Tensor:
    """All chunks in order, from the ranks that made them."""
    width = max(distributed.everyone(max((part.shape[1] for part in mine.values()), default=0)))
    rows = torch.zeros(sum(len(part) for part in parts), width)
    for number, values in mine.items():
        rows[parts[number]] = values
    return distributed.sum_array(rows)  # zeros where other ranks have theirs: x + 0 is exact


def _read(path: Path | None, rows: int) -> torch.Tensor | None:
    if path is None:
        return None
    try:
        kept: torch.Tensor = safetensors.torch.load_file(path)["features"]
    except (OSError, KeyError, safetensors.SafetensorError):
        return None
    return kept if kept.shape[0] == rows else None


def _write(path: Path | None, values: torch.Tensor) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(PART)
    safetensors.torch.save_file({"features": values}, part)
    part.replace(path)
