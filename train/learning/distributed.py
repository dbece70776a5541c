"""Communication between ranks: flags, sums, rows and errors. Everything works for one rank without a group too."""

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


class Stopped(Exception):  # noqa: N818  not an error: the user or SageMaker asked for it
    """Raised on every rank after one rank got a stop signal. Checkpoints keep the work so far."""


class RankError(RuntimeError):
    """Another rank failed. The message is its reason."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """The number of this rank, overall and on its host, the number of all ranks, and the device to compute on."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def from_environment(environ: Mapping[str, str]) -> Ranks:
    """The Ranks that torchrun set for this process; a single rank without torchrun. One GPU per rank, if any."""
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
    """Joins the process group: gloo for tensors on CPUs, NCCL on GPUs. A single rank needs no group."""
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
    """True on every rank if `flag` is true on any rank."""
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
    """The `value` of each rank, in order of the ranks."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    total([0.0])  # a sum over gloo: it works where NCCL is the default too


def together(work: Callable[[], Result]) -> Result:
    """Runs `work` on every rank. If it fails on one, that rank raises its own error and the others RankError.

    Without this the others would wait for the group's timeout and report that instead of the reason.
    """
    failure: Exception | None = None
    result: Any = None
    try:
        result = work()
    except Exception as error:
        failure = error
    messages = all_gather("" if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    failed = [f"rank {rank}: {reason}" for rank, reason in enumerate(messages) if reason]
    if failed:
        raise RankError(failed[0])
    return result  # type: ignore[no-any-return]


def check_equal(name: str, value: str) -> None:
    """Raises RankError on every rank when `value` differs between ranks."""
    values = all_gather(value)
    if len(set(values)) > 1:
        listing = ", ".join(f"rank {rank}: {text[:12]}" for rank, text in enumerate(values))
        raise RankError(f"{name} differs between ranks ({listing}): give every host the same")


def broadcast_module(module: nn.Module) -> None:
    """Copies rank 0's parameters and buffers to all ranks."""
    if dist.is_initialized():
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.data, src=0)


def broadcast_buffers(module: nn.Module) -> None:
    """Copies rank 0's buffers to all ranks: BatchNorm's statistics differ between ranks until DDP's next forward."""
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
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]
