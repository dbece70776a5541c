"""Features that do not fit in memory get a file that leaves nothing behind; test_distributed.py trains from one."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from train.learning import storage
from train.learning.distributed import Ranks


def mapped() -> list[str]:
    """The unlinked files that this process has mapped."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.endswith("(deleted)") and ".part" in line]


@pytest.mark.parametrize(("memory", "files"), [(None, 0), (4 * 2400, 0), (4 * 2399, 1)])
def test_values_go_to_a_file_when_they_are_more_than_their_share_of_memory(
    memory: int | None, files: int, tmp_path: Path
) -> None:
    before = len(mapped())
    values = storage.allocate((2, 100, 3), ranks=Ranks(), memory=memory, folder=tmp_path / "new")
    assert len(mapped()) - before == files
    values[1, [7, 3]] = torch.ones(2, 3)
    assert values.shape == (2, 100, 3)
    assert values[1, 3].tolist() == [1, 1, 1]
    assert not list(tmp_path.rglob("*.*")), "the file has no name, so that nothing uploads it or must delete it"


def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))  # stands for a full disk
    try:
        with pytest.raises(storage.StorageError, match=rf"GB in {tmp_path}.*use a larger volume or lower views"):
            storage.allocate((2, 1 << 20, 4), ranks=Ranks(), memory=1000, folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
