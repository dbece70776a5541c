"""The training loop with a tiny network in memory: resuming, stop signals, early stopping, failures."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from contract import metrics
from contract.hyperparameters import Hyperparameters
from train.learning import distributed, schedule
from train.learning.checkpoint import Store
from train.learning.distributed import Ranks, Stopped
from train.learning.evaluate import Evaluation, Tally
from train.learning.loop import DivergedError, Loop, Snapshot, Step, Task, TrainingState
from train.pictures import loader

COUNT, BATCH = 22, 5
PER_EPOCH = 5


class MemoryStore(Store):
    """Keeps every state in memory."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), {})
        self.states: list[dict[str, Any]] = []

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        self.states.append(copy.deepcopy(dict(state)))
        return Path("/nowhere")


def never() -> bool:
    return False


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def task(model: nn.Module, config: Hyperparameters) -> Task:
    generator = torch.Generator().manual_seed(9)
    inputs = torch.randn(COUNT, 4, generator=generator)
    labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()

    def steps(epoch: int, first: int) -> list[Step]:
        plan = loader.epoch_batches(COUNT, BATCH, seed=config.seed, epoch=epoch)[first:]
        return [Step(inputs=inputs[part], labels=labels[part], whole=len(part)) for part in plan]

    def validate() -> Evaluation:
        tally = Tally(3)
        model.eval()
        with torch.no_grad():
            tally.add(model(inputs), labels)
        return tally.result()

    return Task(model=model, forward=model, steps=steps, steps_per_epoch=PER_EPOCH, validate=validate)


def config(**values: Any) -> Hyperparameters:
    return Hyperparameters(**{"epochs": 4, "learning_rate": 0.05, "checkpoint_interval_steps": 1, **values})


def fit(
    settings: Hyperparameters,
    store: Store,
    *,
    resumed: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = never,
    lines: list[Mapping[str, float]] | None = None,
) -> tuple[nn.Module, TrainingState]:
    model = network()
    if resumed is not None:
        torch.manual_seed(12345)  # what a new process would have drawn must not matter
    out = lines if lines is not None else []
    snapshot = Snapshot.from_dict(resumed) if resumed is not None else None
    done = Loop(task(model, settings), settings, Ranks(), store, stop=stop, report=out.append).fit(snapshot)
    return model, done


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_resumed_after_any_step_ends_with_the_same_weights_bit_for_bit(optimizer: str) -> None:
    settings, store = config(optimizer=optimizer, warmup_epochs=1), MemoryStore()
    unbroken, _ = fit(settings, store)
    assert len(store.states) == 4 * PER_EPOCH
    for state in store.states:
        resumed, done = fit(settings, MemoryStore(), resumed=state)
        assert distributed.digest(resumed) == distributed.digest(unbroken), state["step"]
        assert len(done.history) == 4


def test_training_twice_gives_the_same_and_another_seed_another() -> None:
    digests = [distributed.digest(fit(config(seed=seed), MemoryStore())[0]) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("after", [1, 3, PER_EPOCH, PER_EPOCH + 1])
def test_a_stop_signal_saves_after_the_step_and_the_resumed_run_ends_the_same(after: int) -> None:
    settings, store = config(checkpoint_interval_steps=0), MemoryStore()
    unbroken, _ = fit(settings, MemoryStore())
    calls = iter(range(1000))
    with pytest.raises(Stopped):
        fit(settings, store, stop=lambda: next(calls) >= after - 1)
    assert store.states[-1]["step"] <= after
    resumed, done = fit(settings, MemoryStore(), resumed=store.states[-1])
    assert distributed.digest(resumed) == distributed.digest(unbroken)
    assert [row["epoch"] for row in done.history] == [1, 2, 3, 4]


def test_each_epoch_reports_one_line_that_the_metric_definitions_find() -> None:
    lines: list[Mapping[str, float]] = []
    fit(config(), MemoryStore(), lines=lines)
    found = metrics.parse("\n".join(metrics.line(values) for values in lines))
    assert [row["epoch"] for row in found] == [1, 2, 3, 4]
    assert all({"train_loss", "valid_top1", "valid_top5", "pictures_per_second"} <= set(row) for row in found)


def test_the_weights_kept_are_those_of_the_epoch_that_validated_best() -> None:
    settings, store = config(epochs=6, learning_rate=3.0), MemoryStore()
    model, done = fit(settings, store)
    scores = [(row["valid_top1"], -row["valid_loss"]) for row in done.history]
    best = scores.index(max(scores))
    assert best != len(scores) - 1, "this rate must overshoot, or the test proves nothing"
    assert done.best.epoch == best
    assert distributed.digest(model) != distributed.digest_of(store.states[-1]["model"])
    assert distributed.digest(model) == distributed.digest_of(store.states[(best + 1) * PER_EPOCH - 1]["model"])


def test_it_stops_early_after_patience_epochs_without_a_better_one_and_stays_stopped() -> None:
    settings, store = config(epochs=50, learning_rate=1e-9, patience=2), MemoryStore()
    _, done = fit(settings, store)
    assert len(done.history) < 50
    assert len(done.history) - 1 - done.best.epoch == 2
    _, again = fit(settings, MemoryStore(), resumed=store.states[-1])
    assert len(again.history) == len(done.history)


def test_a_loss_that_is_no_number_fails_with_what_to_change() -> None:
    with pytest.raises(DivergedError, match="lower learning_rate"):
        fit(config(learning_rate=100, weight_decay=1.0, epochs=50), MemoryStore())  # each step: weights × -99


def test_a_loss_weighted_by_ranks_has_the_gradient_of_the_whole_batch() -> None:
    model, (inputs, labels) = network().eval(), (torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0]))
    whole = torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels), list(model.parameters()))
    parts = []
    for share in (slice(0, 5, 2), slice(1, 5, 2)):
        each = nn.functional.cross_entropy(model(inputs[share]), labels[share], reduction="sum")
        parts.append(torch.autograd.grad(each * (2 / 5), list(model.parameters())))
    for wanted, one, two in zip(whole, *parts, strict=True):
        torch.testing.assert_close((one + two) / 2, wanted)


def test_the_rate_rises_over_the_warm_up_and_falls_by_the_schedule() -> None:
    settings = Hyperparameters(epochs=10, warmup_epochs=2, learning_rate=1.0, schedule="cosine")
    rates = [schedule.rate(settings, step, steps_per_epoch=10) for step in range(100)]
    assert rates[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert rates[20] == 1.0
    assert all(before >= after for before, after in itertools.pairwise(rates[20:]))
    assert 0 < rates[-1] < 0.01
    flat = Hyperparameters(epochs=10, learning_rate=0.5, schedule="constant")
    assert {schedule.rate(flat, step, steps_per_epoch=10) for step in range(100)} == {0.5}
    stairs = Hyperparameters(epochs=9, learning_rate=1.0, schedule="step")
    assert [round(schedule.rate(stairs, step, steps_per_epoch=1), 6) for step in (0, 3, 6, 8)] == [1, 0.1, 0.01, 0.01]


def test_every_mode_has_a_rate_of_its_own_when_none_is_given() -> None:
    for optimizer in ("sgd", "adamw"):
        for frozen in (True, False):
            rate = schedule.peak(Hyperparameters(optimizer=optimizer, freeze_backbone=frozen))
            assert 0 < rate < 1
    assert schedule.peak(Hyperparameters(learning_rate=0.2)) == 0.2


def test_a_tally_counts_loss_hits_and_confusion() -> None:
    tally = Tally(3)
    tally.add(torch.tensor([[5.0, 0, 0], [0, 5.0, 0]]), torch.tensor([0, 2]))
    tally.add(torch.tensor([[0, 0, 5.0]]), torch.tensor([2]))
    result = tally.result()
    assert result.top1 == pytest.approx(2 / 3)
    assert result.top5 == 1.0
    assert result.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    right = -math.log(math.exp(5) / (math.exp(5) + 2))
    assert result.loss == pytest.approx((2 * right + right + 5) / 3, rel=1e-6)
    with pytest.raises(ValueError, match="empty"):
        Tally(3).result()
