"""Checkpoint files: complete or not there, damaged ones are skipped, and no pickle runs code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from train.learning import checkpoint
from train.learning.checkpoint import Store

STATE = {"step": 1, "finished": False, "model": {"weight": torch.arange(6.0)}, "history": [{"epoch": 1.0}]}


def store(folder: Path, warnings: list[str]) -> Store:
    return Store(folder, {"model": "resnet18"}, warn=warnings.append)


def test_a_saved_state_is_read_back(tmp_path: Path) -> None:
    kept = store(tmp_path / "new", [])
    kept.save(4, STATE)
    state = kept.latest()
    assert state is not None
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert state["history"] == STATE["history"]


def test_an_empty_or_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert store(tmp_path, []).latest() is None
    assert store(tmp_path / "missing", []).latest() is None


def test_the_newest_two_checkpoints_are_kept(tmp_path: Path) -> None:
    kept = store(tmp_path, [])
    for step in (1, 2, 10, 9, 11):
        kept.save(step, {**STATE, "step": step})
    assert [path.name for path in kept.files()] == ["step-000000010.ckpt", "step-000000011.ckpt"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_newest_falls_back_to_the_one_before_with_a_warning(damage: str, tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = store(tmp_path, warnings)
    kept.save(1, {**STATE, "step": 1})
    newest = kept.save(2, {**STATE, "step": 2})
    content = newest.read_bytes()
    broken = {
        "cut": content[: len(content) // 2],
        "flipped": content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
        "empty": b"",
        "foreign": b"PK\x03\x04 something else",
    }[damage]
    newest.write_bytes(broken)
    state = kept.latest()
    assert state is not None
    assert state["step"] == 1
    assert len(warnings) == 1
    assert newest.name in warnings[0]


def test_if_all_checkpoints_are_damaged_training_starts_from_the_beginning(tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = store(tmp_path, warnings)
    kept.save(1, STATE).write_bytes(b"x")
    assert kept.latest() is None
    assert len(warnings) == 1


def test_a_file_of_a_killed_write_is_deleted_and_never_read(tmp_path: Path) -> None:
    kept = store(tmp_path, [])
    kept.save(1, STATE)
    (tmp_path / f"step-000000002{checkpoint.SUFFIX}{checkpoint.PART}").write_bytes(b"half")
    state = kept.latest()
    assert state is not None
    assert state["step"] == 1
    assert not list(tmp_path.glob(f"*{checkpoint.PART}"))


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.system, (f"touch {tmp_path}/ran",))

    warnings: list[str] = []
    kept = store(tmp_path, warnings)
    kept.save(1, {**STATE, "evil": Evil()})
    assert kept.latest() is None
    assert not (tmp_path / "ran").exists()
