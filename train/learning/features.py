"""Computes the features of a frozen backbone, once for each picture and view. Only the head then trains on them.

The pictures are divided into chunks, which do not depend on the number of ranks. In each turn every rank computes one
chunk, then all ranks exchange them. Chunk files lie beside the checkpoints, so that a resumed training computes only
missing ones.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.fx.experimental import optimization

from contract.preprocess import Preprocessing
from train.learning import distributed, storage
from train.learning.checkpoint import PART
from train.learning.distributed import Ranks, Stopped
from train.learning.evaluate import Evaluation, Tally
from train.learning.loop import Step
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Sample
from train.pictures.loader import Batch, Transform

BATCH = 16  # pictures in a forward pass on a CPU: more fault in new memory, fewer do not use all cores
CHUNK = 64  # pictures in a file; a kill loses at most this much work of a rank
LARGE, LARGE_CHUNK = 20_000, 256
BLOCK = 4096  # rows of features in one computation, 32 MB at a width of 2048


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of a split: `values` float32 (views, N, D), in memory or mapped from a file; `labels` int64 (N,)."""

    values: torch.Tensor
    labels: torch.Tensor

    @property
    def are_mapped(self) -> bool:
        return self.values.untyped_storage().filename is not None


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Computes features. `key` identifies everything they depend on; `folder` keeps the chunks (None keeps nothing).

    `memory` is the host's limit in bytes (None is no limit). Features that would use too much of it are on disk.
    """

    backbone: nn.Module
    ranks: Ranks
    precision: Precision
    workers: int
    folder: Path | None
    key: str
    memory: int | None = None
    stop: Callable[[], bool] = lambda: False

    def split(
        self, name: str, samples: Sequence[Sample], views: Sequence[Transform], advance: Callable[[int], None]
    ) -> Features:
        """The features of `samples`, on every rank, for at least one of `views`.

        Raises Stopped on every rank if one gets a stop signal (finished chunks stay), ValueError without samples, and
        StorageError.
        """
        labels = torch.tensor([sample.label for sample in samples], dtype=torch.int64)
        values: torch.Tensor | None = None
        for number, view in enumerate(views):
            for part, rows in self._view(f"{name}-{number}", samples, view, advance):
                if values is None:
                    shape = (len(views), len(samples), rows.shape[1])
                    values = storage.allocate(shape, ranks=self.ranks, memory=self.memory, folder=self.folder)
                values[number, part] = rows
        if values is None:
            raise ValueError(f"no pictures to compute features of: {name} is empty")
        return Features(values=values, labels=labels)

    def _view(
        self, name: str, samples: Sequence[Sample], view: Transform, advance: Callable[[int], None]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Each chunk of a view (its sample numbers) with its features, in order, on every rank."""
        parts, rank_count = chunks(len(samples)), self.ranks.world_size
        paths = [self._path(f"{name}-{number:06d}") for number in range(len(parts))]
        mine = range(self.ranks.rank, len(parts), rank_count)
        missing = [number for number in mine if not _is_kept(paths[number], len(parts[number]))]
        fresh = self._compute(samples, [parts[number] for number in missing], view)
        for first in range(0, len(parts), rank_count):  # all ranks take part in each turn, to agree on a stop
            number = first + self.ranks.rank
            own = None
            if number in missing:
                own = next(fresh)
                _write(paths[number], own)
            elif number in mine:
                own = _read(paths[number])
            turn = parts[first : first + rank_count]
            yield from zip(turn, _exchanged(own), strict=True)
            advance(sum(len(part) for part in turn))
            if distributed.any_rank(self.stop()):
                raise Stopped(f"while computing features of {name}; finished features are kept")

    def _path(self, name: str) -> Path | None:
        return self.folder / f"features-{self.key[:16]}-{name}.safetensors" if self.folder else None

    def _compute(
        self, samples: Sequence[Sample], parts: Sequence[Sequence[int]], view: Transform
    ) -> Iterator[torch.Tensor]:
        """The features of each of `parts`. Threads decode the next pictures while the backbone computes."""
        on_cpu = self.ranks.device.type == "cpu"
        streams = torch.get_num_threads() if on_cpu else 1
        cut = pieces(parts, BATCH if on_cpu else CHUNK, streams=streams)
        batches = loader.batches(samples, list(itertools.chain(*cut)), view, workers=self.workers)
        rows = side_by_side(partial(self._forward, *self._network), batches, streams=streams)
        for own in cut:
            yield torch.cat(list(itertools.islice(rows, len(own))))

    def _forward(self, network: nn.Module, kind: torch.dtype, batch: Batch) -> torch.Tensor:
        pictures = batch.pictures.to(self.ranks.device, kind, memory_format=self.precision.memory_format)
        with torch.no_grad(), self.precision.autocast(self.ranks.device) if kind == torch.float32 else nullcontext():
            rows: torch.Tensor = network(pictures)
        return rows.float().flatten(1).cpu()

    @cached_property
    def _network(self) -> tuple[nn.Module, torch.dtype]:
        """The network that computes the features, and its type.

        For bf16 all weights are bfloat16: they do not change here, and autocast would cast them again for each batch.
        fp16 uses autocast, because float16 overflows.
        """
        kind = torch.bfloat16 if self.precision.name == "bf16" else torch.float32
        return inference(self.backbone).to(dtype=kind, memory_format=self.precision.memory_format), kind


def inference(backbone: nn.Module) -> nn.Module:
    """A copy of `backbone` in eval mode that computes the same faster, with each BatchNorm folded into its convolution.

    A network that torch.fx cannot trace is only copied.
    """
    backbone.eval()
    try:
        folded: nn.Module = optimization.fuse(backbone)
    except Exception:  # a network's code may raise anything when torch.fx calls it
        return copy.deepcopy(backbone)
    return folded.eval()


def side_by_side(
    forward: Callable[[Batch], torch.Tensor], batches: Iterator[Batch], *, streams: int
) -> Iterator[torch.Tensor]:
    """Runs `forward` on `streams` batches at a time, each on one thread. Gives the results in order.

    Threads that share a batch wait for each other at each layer, longest for one whose CPU a decoder uses (ResNet-50
    in bfloat16 on two CPUs: 23.6 ms per picture with shared batches, 22.0 with this, 21.9 without decoding).
    """
    if streams == 1:
        yield from map(forward, batches)
        return
    threads, waiting = torch.get_num_threads(), deque[Future[torch.Tensor]]()
    pool = ThreadPoolExecutor(streams, thread_name_prefix="forward", initializer=torch.set_num_threads, initargs=(1,))
    try:
        for batch in batches:
            waiting.append(pool.submit(forward, batch))
            if len(waiting) > streams:  # one batch more than streams, so that no stream waits for its next batch
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)  # new threads would otherwise use the last number that any thread set


def chunks(count: int) -> list[list[int]]:
    """The chunks of a split of `count` pictures. They do not depend on the number of ranks."""
    size = CHUNK if count < LARGE else LARGE_CHUNK
    return [list(range(start, min(count, start + size))) for start in range(0, count, size)]


def pieces(parts: Sequence[Sequence[int]], size: int, *, streams: int) -> list[list[Sequence[int]]]:
    """Divides each of `parts` into batches of at most `size`, or fewer so that every stream has work."""
    pictures = sum(map(len, parts))
    if pictures and streams > 1:
        turns = math.ceil(pictures / (size * streams))
        size = math.ceil(pictures / (turns * streams))
    return [_evenly(part, math.ceil(len(part) / size)) for part in parts]


def views(preprocessing: Preprocessing, count: int, *, augment: bool, seed: int) -> list[Transform]:
    """The views of a training picture: as in serving, then mirrored, then random crops."""
    fixed = [loader.evaluation(preprocessing), loader.evaluation(preprocessing, mirrored=True)]
    extra = [loader.augmentation(preprocessing, seed=seed, epoch=number) for number in range(2, count)]
    return [*fixed, *extra][:count] if augment else fixed[:1]


def key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Standard(nn.Module):
    """A linear head on centred and scaled features. It can compute what a plain linear layer can, but the right
    learning rate does not depend on the backbone's scale.

    All features share one scale. With a scale of its own, a feature that hardly varies, and tells least, would become
    large (ResNet-50 on groceries: test top-1 77.5 % with own scales, 80.2 % with one).
    """

    def __init__(self, head: nn.Linear, features: torch.Tensor) -> None:
        """`features` (…, D) decide the scale. The new head computes the same as `head`."""
        super().__init__()
        mean, deviation = scale(features.reshape(-1, features.shape[-1]))
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.square().mean().sqrt().clamp_min(1e-12).float())
        self.head = nn.Linear(head.in_features, head.out_features)
        with torch.no_grad():
            bias = head.bias if head.bias is not None else torch.zeros(head.out_features)
            self.head.weight.copy_(head.weight * self.deviation)
            self.head.bias.copy_(bias + head.weight @ self.mean)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head((features - self.mean) / self.deviation)
        return result

    def plain(self) -> nn.Linear:
        """A linear layer that computes the same from unscaled features."""
        linear = nn.Linear(self.head.in_features, self.head.out_features)
        with torch.no_grad():
            weight = self.head.weight.double() / self.deviation.double()
            linear.weight.copy_(weight)
            linear.bias.copy_(self.head.bias.double() - weight @ self.mean.double())
        return linear


def scale(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column of (N, D), in float64, block by block (the rows may be on disk).

    Two passes over the rows avoid cancellation: the relative error is below 1e-11.
    """
    mean = torch.stack([block.double().sum(dim=0) for block in rows.split(BLOCK)]).sum(dim=0) / len(rows)
    squares = [(block.double() - mean).square().sum(dim=0) for block in rows.split(BLOCK)]
    return mean, (torch.stack(squares).sum(dim=0) / len(rows)).sqrt()


def steps(features: Features, batch_size: int, *, seed: int, epoch: int, first: int) -> Iterator[Step]:
    """The steps of an epoch, starting at step `first`. Each epoch uses one random view of each picture."""
    count = len(features.labels)
    turn = np.random.default_rng((seed, epoch, 1)).integers(features.values.shape[0], size=count)
    plan = loader.epoch_batches(count, batch_size, seed=seed, epoch=epoch)[first:]
    for part in plan:
        rows = features.values[torch.from_numpy(turn[part]), part]
        yield Step(inputs=rows, labels=features.labels[part], whole=len(part))


def evaluate(head: nn.Module, features: Features, *, classes: int) -> Evaluation:
    """Evaluates the head on the first view of a split. Every rank evaluates the whole split, with the same result."""
    tally = Tally(classes)
    head.eval()
    with torch.no_grad():
        for rows, labels in zip(features.values[0].split(BLOCK), features.labels.split(BLOCK), strict=True):
            tally.add(head(rows), labels)
    return tally.result(over_ranks=False)


def _exchanged(own: torch.Tensor | None) -> list[torch.Tensor]:
    """The chunks of this turn, in order of the ranks. In the last turn the last ranks may have none."""
    rows = distributed.all_gather(None if own is None else own.numpy())
    return [torch.from_numpy(values) for values in rows if values is not None]


def _evenly(part: Sequence[int], count: int) -> list[Sequence[int]]:
    return [part[number * len(part) // count : (number + 1) * len(part) // count] for number in range(count)]


def _is_kept(path: Path | None, rows: int) -> bool:
    """Whether the chunk's file exists and is complete. Reads only the file's header."""
    if path is None:
        return False
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return bool(file.get_slice("features").get_shape()[0] == rows)
    except (OSError, safetensors.SafetensorError):
        return False


def _read(path: Path | None) -> torch.Tensor:
    if path is None:
        raise FileNotFoundError("no folder keeps chunks of features")
    kept: torch.Tensor = safetensors.torch.load_file(path)["features"]
    return kept


def _write(path: Path | None, values: torch.Tensor) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(PART)
    safetensors.torch.save_file({"features": values}, part)
    part.replace(path)
