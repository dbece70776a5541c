"""Two ranks give the same result as one with the same global batch.

The tolerance for weights is 1e-4 relative in float32, because sums have another order. Features of a frozen backbone
and the head on them are equal bit for bit, because their batches do not depend on the number of ranks. A whole network
with BatchNorm is not equal on CPUs, where each rank normalises over its share of the batch (GPUs synchronise).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from tests.functional.train import ranks
from train.learning import checkpoint, distributed
from train.learning.checkpoint import Store
from train.learning.evaluate import Evaluation, Tally, plan
from train.learning.loop import Loop, Step, Task
from train.pictures import loader

COUNT, BATCH = 53, 12


def rank(environ: Mapping[str, str], folder: Path) -> None:
    """One rank that trains a small convolutional network without BatchNorm; the first writes what came out."""
    os.environ.update(environ)
    torch.set_num_threads(1)
    here = distributed.from_environment(os.environ)
    with distributed.group(here):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.GELU(), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(6 * 36, 3))
        inputs = torch.randn(COUNT, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        labels = torch.arange(COUNT) % 3
        config = Hyperparameters(epochs=3, learning_rate=0.05, label_smoothing=0.1, batch_size=BATCH, warmup_epochs=1)

        def steps(epoch: int, first: int) -> list[Step]:
            whole = loader.epoch_batches(COUNT, BATCH, seed=0, epoch=epoch)[first:]
            mine = [loader.share_of(batch, here.rank, here.world_size) for batch in whole]
            return [
                Step(inputs=inputs[own], labels=labels[own], whole=len(all_of_it))
                for own, all_of_it in zip(mine, whole, strict=True)
            ]

        def validate() -> Evaluation:
            tally = Tally(3)
            with torch.no_grad():
                for part in plan(COUNT, 4, here):
                    tally.add(model(inputs[part]), labels[part])
            return tally.result()

        forward = nn.parallel.DistributedDataParallel(model) if here.world_size > 1 else model
        task = Task(
            model=model, forward=forward, steps=steps, steps_per_epoch=5, validate=validate, shares=here.world_size
        )
        store = Store(folder / f"checkpoints-{here.world_size}", {})
        done = Loop(task, config, here, store, stop=lambda: False, report=lambda _: None).fit(None)
        if here.is_first:
            history = [{k: v for k, v in row.items() if k != "pictures_per_second"} for row in done.history]
            torch.save({"model": model.state_dict(), "history": history}, folder / f"{here.world_size}.pt")


@pytest.mark.parametrize("world_size", [2, 3])
def test_whole_network_training_is_the_same_on_one_rank_and_on_more(world_size: int, tmp_path: Path) -> None:
    for count in (1, world_size):
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ranks.free_port()), "WORLD_SIZE": str(count)}
        started = [
            ranks.start(rank, {**shared, "RANK": str(own), "LOCAL_RANK": str(own)}, tmp_path) for own in range(count)
        ]
        assert ranks.finish(started) == [0] * count
    one, more = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, world_size))
    for name, value in one["model"].items():
        torch.testing.assert_close(more["model"][name], value, rtol=1e-4, atol=1e-6)
    for row, other in zip(one["history"], more["history"], strict=True):
        assert row == pytest.approx(other, rel=1e-4)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run of `count` ranks on a host with `memory` bytes; `killed` once before all features are computed."""

    count: int
    memory: int | None = None
    killed: bool = False


CASES = {"one": Case(count=1), "two": Case(count=2), "from disk": Case(count=2, memory=1000, killed=True)}


def test_a_head_on_a_frozen_backbone_is_bit_for_bit_the_same_on_one_rank_on_two_and_from_disk_after_a_kill(
    tmp_path: Path,
) -> None:
    data = ranks.pictures(tmp_path / "data", train=30)  # several chunks of features
    on_disk, weights = [], []
    for name, case in CASES.items():
        root = tmp_path / name
        variables = ranks.make_run(root, data, memory=case.memory, views=2, epochs=2)
        if case.killed:
            kill_after_the_first_chunk(ranks.start_ranks(variables, case.count, root), root / "checkpoints")
        log = root / "rank-0.log"
        assert ranks.train(variables, case.count, root) == [0] * case.count, log.read_text()
        on_disk.append("features are on disk" in log.read_text())
        weights.append(ranks.weights_of(root))
        assert not list((root / "checkpoints").glob(f"*{checkpoint.PART}"))
    assert on_disk == [False, False, True]
    assert weights[0] == weights[1] == weights[2]


def kill_after_the_first_chunk(started: Sequence[BaseProcess], folder: Path) -> None:
    while not list(folder.glob("features-*")) and started[0].is_alive():
        time.sleep(0.001)
    for process in started:
        process.kill()
        process.join()
    assert not list(folder.glob("step-*")), "killed too late to prove anything"
