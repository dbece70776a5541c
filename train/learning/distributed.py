"""What ranks say to each other: flags, sums, rows, and agreeing on an error. All of it works without a group too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

Result = TypeVar("Result")
TIMEOUT = timedelta(minutes=30)


class Stopped(Exception):  # noqa: N818  not an error: somebody asked for it
    """A rank was told to stop, all know it, and what was done is kept in checkpoints."""


class RankError(RuntimeError):
    """Another rank could not go on; carries its reason."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This rank's place among all."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def from_environment(environ: Mapping[str, str]) -> Ranks:
    """The place that torchrun gave this process; one rank alone without torchrun. A GPU each where there are any."""
    local_rank = int(environ.get("LOCAL_RANK", "0"))
    has_gpu = torch.cuda.is_available() and local_rank < torch.cuda.device_count()
    return Ranks(
        rank=int(environ.get("RANK", "0")),
        world_size=int(environ.get("WORLD_SIZE", "1")),
        local_rank=local_rank,
        device=torch.device("cuda", local_rank) if has_gpu else torch.device("cpu"),
    )


@contextmanager
def group(ranks: Ranks, *, timeout: timedelta = TIMEOUT) -> Iterator[Ranks]:
    """Joins the process group: tensors on CPUs travel by gloo, on GPUs by NCCL. One rank alone needs none."""
    if ranks.world_size == 1:
        yield ranks
        return
    on_gpu = ranks.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(ranks.device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=timeout)
    try:
        yield ranks
    finally:
        dist.destroy_process_group()


def any_rank(flag: bool) -> bool:
    """True on every rank when it is true on one."""
    return total([float(flag)])[0] > 0


def total(numbers: list[float]) -> list[float]:
    """The sums over all ranks, in float64."""
    if not dist.is_initialized():
        return numbers
    tensor = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(tensor)
    summed: list[float] = tensor.tolist()
    return summed


def sum_array(tensor: torch.Tensor) -> torch.Tensor:
    """The element-wise sum of a CPU tensor over all ranks."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def all_gather(value: Any) -> list[Any]:
    """`value` of each rank, by rank."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    total([0.0])  # a sum over gloo, so that it also holds where NCCL is the default


def together(work: Callable[[], Result]) -> Result:
    """Runs `work` on every rank; when it fails on one, all fail: that one with its own error, the rest with RankError.

    Without this the rest would wait until the group's timeout, and report that instead of the reason.
    """
    failure: Exception | None = None
    result: Any = None
    try:
        result = work()
    except Exception as error:
        failure = error
    reasons = all_gather("" if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    failed = [f"rank {rank}: {reason}" for rank, reason in enumerate(reasons) if reason]
    if failed:
        raise RankError(failed[0])
    return result  # type: ignore[no-any-return]


def check_equal(what: str, value: str) -> None:
    """Raises RankError on every rank when `value` differs between ranks."""
    values = all_gather(value)
    if len(set(values)) > 1:
        listing = ", ".join(f"rank {rank}: {text[:12]}" for rank, text in enumerate(values))
        raise RankError(f"{what} differs between ranks ({listing}): give every host the same")


def broadcast_module(module: nn.Module) -> None:
    """Rank 0's parameters and buffers to all."""
    if dist.is_initialized():
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.data, src=0)


def broadcast_buffers(module: nn.Module) -> None:
    """Rank 0's buffers to all: BatchNorm's statistics drift apart between ranks until DDP's next forward."""
    if dist.is_initialized():
        for tensor in module.buffers():
            dist.broadcast(tensor, src=0)


def digest(module: nn.Module) -> str:
    """The sha256 of a module's tensors, in order of their names."""
    return digest_of(module.state_dict())


def digest_of(state: Mapping[str, torch.Tensor]) -> str:
    hasher = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        hasher.update(name.encode())
        hasher.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def is_first() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0


def from_first(value: Any) -> Any:
    """Rank 0's `value`, on every rank."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
