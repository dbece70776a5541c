"""A run that is killed, stopped, or left with damaged checkpoints resumes and ends with the same weights."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.functional.train import ranks
from train.learning import checkpoint
from train.learning.checkpoint import CheckpointError, Store

MODES: dict[str, dict[str, object]] = {
    "head on features": {"freeze_backbone": "true", "views": 3, "epochs": 40},
    "whole network": {"freeze_backbone": "false", "epochs": 3},
}


def settings(mode: str) -> dict[str, Any]:
    return {**MODES[mode], "checkpoint_interval_steps": 1, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ranks.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], str]:
    """The checksum of the weights of an uninterrupted run, by mode and number of ranks."""
    known: dict[tuple[str, int], str] = {}

    def find(mode: str, count: int) -> str:
        if (mode, count) not in known:
            root = tmp_path_factory.mktemp("uninterrupted")
            assert ranks.train(ranks.make_run(root, data, **settings(mode)), count, root) == [0] * count
            known[mode, count] = ranks.weights_of(root)
        return known[mode, count]

    return find


@pytest.mark.parametrize(("mode", "count"), [("head on features", 1), ("whole network", 1), ("whole network", 2)])
def test_a_run_killed_repeatedly_at_random_moments_ends_with_the_weights_of_an_uninterrupted_one(
    mode: str, count: int, data: Path, uninterrupted: Callable[[str, int], str], tmp_path: Path
) -> None:
    expected, moments = uninterrupted(mode, count), random.Random(f"{mode}{count}")
    variables = ranks.make_run(tmp_path, data, **settings(mode))
    kills = 0
    for _ in range(30):
        started = ranks.start_ranks(variables, count, tmp_path)
        if kills < 5 and _killed(started, tmp_path, moments):
            kills += 1
            continue
        assert ranks.finish(started) == [0] * count, (tmp_path / "rank-0.log").read_text()
        break
    assert kills >= 3, "the kills came too late to prove anything"
    assert "resuming after step" in (tmp_path / "rank-0.log").read_text()
    assert ranks.weights_of(tmp_path) == expected


def _killed(started: list[BaseProcess], root: Path, moments: random.Random) -> bool:
    """Kills all ranks a random time after the next change in the checkpoint folder. False if they ended before."""
    folder = root / "checkpoints"
    before = _state_of(folder)
    while started[0].is_alive() and _state_of(folder) == before:
        time.sleep(0.001)
    time.sleep(moments.uniform(0, 0.15))
    alive = started[0].is_alive()
    for process in started:
        process.kill()
        process.join()
    return alive


def _state_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_kill_during_a_write_always_leaves_a_complete_checkpoint(tmp_path: Path) -> None:
    moments, interrupted = random.Random(5), 0
    for _ in range(8):
        for rest in tmp_path.glob(f"*{checkpoint.PART}"):
            rest.unlink()
        process = ranks.start(write_forever, tmp_path)
        deadline = time.monotonic() + 30
        while not any(tmp_path.glob(f"*{checkpoint.PART}")) and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.join()
        interrupted += any(path.name.endswith(checkpoint.PART) for path in tmp_path.iterdir())
        for path in tmp_path.glob(f"*{checkpoint.SUFFIX}"):
            assert set(checkpoint.decode(checkpoint.read(path))["state"]) == {"values", "number"}
    assert interrupted, "no kill fell into a write: the test proves nothing"


def write_forever(folder: Path) -> None:
    store = Store(folder, {})
    for number in range(1_000_000):
        store.save(number % 7, {"values": torch.full((4_000_000,), float(number)), "number": number})


@pytest.mark.parametrize("mode", list(MODES))
def test_after_a_stop_signal_all_ranks_exit_with_a_checkpoint_and_the_resumed_run_ends_the_same(
    mode: str, data: Path, uninterrupted: Callable[[str, int], str], tmp_path: Path
) -> None:
    variables = ranks.make_run(tmp_path, data, **settings(mode))
    started = ranks.start_ranks(variables, 2, tmp_path)
    while not list((tmp_path / "checkpoints").glob("step-*")):
        time.sleep(0.002)
    pid = started[1].pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)  # one rank gets the signal; all must agree
    assert ranks.finish(started) == [0, 0], (tmp_path / "rank-0.log").read_text()  # the marks tell the supervisor
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == ["rank-0.stopped", "rank-1.stopped"]
    assert not list((tmp_path / "model").iterdir())
    assert ranks.train(variables, 2, tmp_path) == [0, 0], (tmp_path / "rank-0.log").read_text()
    assert ranks.weights_of(tmp_path) == uninterrupted(mode, 2)


def test_a_resumed_run_computes_no_feature_twice(data: Path, tmp_path: Path) -> None:
    variables = ranks.make_run(tmp_path, data, **settings("head on features"))
    assert ranks.train(variables, 1, tmp_path) == [0]
    files = list((tmp_path / "checkpoints").glob("features-*"))
    before = {path: path.stat().st_mtime_ns for path in files}
    assert ranks.train(variables, 1, tmp_path) == [0]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints").glob("features-*")} == before


def test_settings_or_pictures_that_differ_from_the_unfinished_run_are_refused_by_name(
    data: Path, tmp_path: Path
) -> None:
    Store(tmp_path, {"model": "resnet18", "epochs": "5"}).save(3, {"finished": False})
    with pytest.raises(CheckpointError, match=r"model=resnet18, now resnet50.*empty"):
        Store(tmp_path, {"model": "resnet50", "epochs": "5"}).latest()


def test_a_finished_run_is_replaced_by_one_with_other_settings(tmp_path: Path) -> None:
    Store(tmp_path, {"epochs": "5"}).save(30, {"finished": True})
    warnings: list[str] = []
    other = Store(tmp_path, {"epochs": "9"}, warn=warnings.append)
    assert other.latest() is None
    assert "finished training with other epochs" in warnings[0]
    assert other.files() == []
