"""Room for the features of a split: in memory while they are few, else in a file that the ranks of a host share."""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from train.learning import distributed
from train.learning.checkpoint import PART
from train.learning.distributed import Ranks

SHARE = 1 / 4  # of the host's memory: validation's features may take as much, the rest is the network's and pictures'


class StorageError(OSError):
    """The disk has no room for the features; says how much is needed where, and the fix."""


def allocate(shape: tuple[int, ...], *, ranks: Ranks, memory: int | None, folder: Path | None) -> torch.Tensor:
    """Space for float32 values of `shape`, which every rank fills with the same; all ranks must ask together.

    In memory each rank has its own, so a host's ranks divide SHARE of its `memory` (bytes; None is no limit). Where
    that is too little on any host, the values lie in one file a host, mapped: the kernel reads pages as they are asked
    for and drops them when memory is short. The file is in `folder`, where the chunks are (None: the temporary folder),
    and loses its name before it is filled: it is not uploaded with the checkpoints, and a kill leaves nothing behind.

    Raises StorageError where the disk is too small.
    """
    size = 4 * math.prod(shape)
    first = ranks.rank - ranks.local_rank  # the first rank of this host, and so the host's own number
    told = distributed.all_gather((first, memory))
    if fits(size, told):
        return torch.empty(shape)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)  # a rank that had no chunk to keep comes here first
    with distributed.together(lambda: tempfile.NamedTemporaryFile(dir=folder, suffix=PART)) as file:
        distributed.together(lambda: _reserve(file.fileno(), size, Path(file.name)) if ranks.rank == first else None)
        path = distributed.all_gather(file.name)[first]
        mapped = distributed.together(lambda: torch.from_file(path, shared=True, size=size // 4, dtype=torch.float32))
    return mapped.view(shape)


def fits(size: int, told: Sequence[tuple[int, int | None]]) -> bool:
    """Whether `size` bytes in each rank are no more than SHARE of every host; `told` is each rank's host and memory."""
    copies = Counter(host for host, _ in told)
    return all(limit is None or size * copies[host] <= SHARE * limit for host, limit in told)


def _reserve(file: int, size: int, path: Path) -> None:
    """Takes the blocks now: a full disk met through a mapping would be a bus error."""
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        raise StorageError(
            f"the features need {size / 1e9:.1f} GB in {path.parent}, and cannot have them ({error.strerror}): "
            "give it a larger volume, or lower views"
        ) from error
