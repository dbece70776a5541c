"""Allocates space for the features of a split: in memory, or in a file that the ranks of a host share."""

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

SHARE = 1 / 4  # of the host's memory; the validation split may use as much, network and pictures the rest


class StorageError(OSError):
    """The disk is too small for the features. The message says how much is needed where, and the fix."""


def allocate(shape: tuple[int, ...], *, ranks: Ranks, memory: int | None, folder: Path | None) -> torch.Tensor:
    """Space for float32 values of `shape`. All ranks must call it together and fill it with the same values.

    In memory each rank has a copy, and the ranks of a host share SHARE of its `memory` (bytes; None is no limit). If
    that is too little on any host, each host maps one file instead: the kernel reads its pages when needed and drops
    them when memory is short. The file is in `folder`, beside the chunks (None: the temporary folder), and is
    unlinked before it is filled, so that it is not uploaded with the checkpoints and a kill leaves nothing behind.

    Raises StorageError if the disk is too small.
    """
    size = 4 * math.prod(shape)
    first = ranks.rank - ranks.local_rank  # the first rank of this host identifies the host
    hosts = distributed.all_gather((first, memory))
    if fits(size, hosts):
        return torch.empty(shape)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)  # a rank that wrote no chunk has not created it yet
    with distributed.together(lambda: tempfile.NamedTemporaryFile(dir=folder, suffix=PART)) as file:
        distributed.together(lambda: _reserve(file.fileno(), size, Path(file.name)) if ranks.rank == first else None)
        path = distributed.all_gather(file.name)[first]
        mapped = distributed.together(lambda: torch.from_file(path, shared=True, size=size // 4, dtype=torch.float32))
    return mapped.view(shape)


def fits(size: int, hosts: Sequence[tuple[int, int | None]]) -> bool:
    """Whether `size` bytes for each rank are at most SHARE of every host. `hosts` is each rank's (host, memory)."""
    copies = Counter(host for host, _ in hosts)
    return all(limit is None or size * copies[host] <= SHARE * limit for host, limit in hosts)


def _reserve(file: int, size: int, path: Path) -> None:
    """Allocates the disk blocks now, because a full disk behind a mapping is a bus error."""
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        raise StorageError(
            f"the features need {size / 1e9:.1f} GB in {path.parent} ({error.strerror}): "
            "use a larger volume or lower views"
        ) from error
