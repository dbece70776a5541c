"""The training loop: one for a head on features and for a whole network on pictures, on one rank or many.

A run is a sequence of steps numbered over all epochs. What a step computes depends on the state before it and on its
number alone (order of pictures, augmentation, dropout, learning rate), so a resumed run ends as an unbroken one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from train.learning import distributed, schedule
from train.learning.checkpoint import Store
from train.learning.distributed import Ranks, Stopped
from train.learning.evaluate import Evaluation
from train.learning.precision import PLAIN, Precision

State = dict[str, torch.Tensor]


class DivergedError(ValueError):
    """The loss is no number any more; says what to change."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one rank sees of one global batch: `whole` is the number of pictures over all ranks."""

    inputs: torch.Tensor
    labels: torch.Tensor
    whole: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What differs between training a head and a network.

    model: what is trained and saved. forward: what computes its logits (the model, or DDP around it).
    steps(epoch, first): this rank's steps of an epoch from number `first` on. validate(): the model as it is now; may
    raise Stopped, on every rank.
    shares: over how many ranks a batch is divided; 1 when each rank sees it whole and does the same.
    precision: of the steps. recorded: what was chosen for the whole network, kept in the checkpoint for a resumed run.
    """

    model: nn.Module
    forward: nn.Module
    steps: Callable[[int, int], Iterable[Step]]
    steps_per_epoch: int
    validate: Callable[[], Evaluation]
    shares: int = 1
    precision: Precision = PLAIN
    recorded: Precision = PLAIN


@dataclass(kw_only=True)
class Best:
    """The weights of the epoch that validated best."""

    score: tuple[float, float] = (-math.inf, -math.inf)
    epoch: int = 0
    state: State = field(default_factory=dict)


@dataclass(kw_only=True)
class Progressed:
    """Where a run stands: `step` steps done, a row of `history` for each epoch done."""

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: Best = field(default_factory=Best)
    finished: bool = False


class Loop:
    """Trains a Task by a Hyperparameters, keeping checkpoints in a Store."""

    def __init__(
        self,
        task: Task,
        config: Hyperparameters,
        ranks: Ranks,
        store: Store,
        *,
        stop: Callable[[], bool],
        report: Callable[[Mapping[str, float]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._task, self._config, self._ranks, self._store = task, config, ranks, store
        self._stop, self._report, self._clock = stop, report, clock
        self._optimizer = optimizer(task.model, config)
        self._scaler = torch.amp.GradScaler(ranks.device.type, enabled=task.precision.name == "fp16")
        self._at = Progressed()
        self._sums = torch.zeros(3, dtype=torch.float64, device=ranks.device)  # there, so that no step waits for a GPU

    def fit(self, resumed: Mapping[str, Any] | None) -> Progressed:
        """Trains to the end, from the `resumed` state where there is one; the model then holds the best weights.

        Raises Stopped and DivergedError.
        """
        if resumed is not None:
            self._restore(resumed)
        while not self._at.finished:
            self._epoch(len(self._at.history))
        self._task.model.load_state_dict(self._at.best.state)
        return self._at

    def _epoch(self, epoch: int) -> None:
        first = self._at.step - epoch * self._task.steps_per_epoch  # all of them: stopped before the validation
        began, seen_before = self._clock(), self._totals()[2]
        self._task.forward.train()
        for step in self._task.steps(epoch, first):
            self._step(step)
            self._after_step()
        sums = self._totals()
        pace = (sums[2] - seen_before) / max(1e-9, self._clock() - began)
        self._end_epoch(epoch, sums, pace)

    def _step(self, step: Step) -> None:
        rate = schedule.rate(self._config, self._at.step, steps_per_epoch=self._task.steps_per_epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(_mix(self._config.seed, self._at.step, self._ranks.rank if self._task.shares > 1 else 0))
        with self._task.precision.autocast(self._ranks.device):
            logits = self._task.forward(step.inputs)
        each = nn.functional.cross_entropy(
            logits.float(), step.labels, label_smoothing=self._config.label_smoothing, reduction="sum"
        )
        # DDP averages gradients over ranks: weighted so, the average is the mean over the whole batch, whoever saw what
        loss = each * (self._task.shares / step.whole)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        self._count(each, logits, step.labels)

    def _count(self, loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        hits = (logits.detach().argmax(dim=1) == labels).sum()
        seen = torch.full_like(loss, len(labels), dtype=torch.float64)
        self._sums += torch.stack([loss.detach().double(), hits.double(), seen])

    def _totals(self) -> list[float]:
        """This epoch's loss, hits and pictures so far, over all ranks. Raises DivergedError."""
        sums: list[float] = self._sums.tolist()
        sums = distributed.total(sums) if self._task.shares > 1 else sums
        if not math.isfinite(sums[0]):
            raise DivergedError(
                f"the loss is {sums[0]} by step {self._at.step}: lower learning_rate "
                f"(now {schedule.peak(self._config):g}) or set warmup_epochs"
            )
        return sums

    def _after_step(self) -> None:
        self._at.step += 1
        stopping = distributed.any_of(self._stop())
        interval = self._config.checkpoint_interval_steps
        due = bool(interval) and self._at.step % interval == 0 and self._at.step % self._task.steps_per_epoch != 0
        if stopping or due:  # an epoch's end saves by itself, after validation
            self._save()
        if stopping:
            raise Stopped(f"after step {self._at.step}")

    def _end_epoch(self, epoch: int, sums: list[float], pace: float) -> None:
        try:
            valid = self._task.validate()
        except Stopped:
            self._save()
            raise
        values: dict[str, float] = {
            "epoch": epoch + 1,
            "train_loss": sums[0] / sums[2],
            "train_top1": sums[1] / sums[2],
            "valid_loss": valid.loss,
            "valid_top1": valid.top1,
            "valid_top5": valid.top5,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "pictures_per_second": pace,
        }
        self._at.history.append(values)
        self._sums.zero_()
        score = (valid.top1, -valid.loss)
        if score > self._at.best.score:
            self._at.best = Best(score=score, epoch=epoch, state=_snapshot(self._task.model))
        late = bool(self._config.patience) and epoch - self._at.best.epoch >= self._config.patience
        self._at.finished = epoch + 1 >= self._config.epochs or late
        self._save()
        self._report(values)
        if distributed.any_of(self._stop()) and not self._at.finished:
            raise Stopped(f"after epoch {epoch + 1}")

    def _save(self) -> None:
        sums = self._totals()
        if self._ranks.is_first:
            self._store.save(self._at.step, self._state(sums))
        distributed.barrier()

    def _state(self, sums: list[float]) -> dict[str, Any]:
        """All that the next step depends on. The generators are reseeded by (seed, step) before each step: `rng`."""
        return {
            "step": self._at.step,
            "epoch": len(self._at.history),
            "finished": self._at.finished,
            "sums": sums,
            "history": self._at.history,
            "model": self._task.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "rng": {"seed": self._config.seed, "step": self._at.step, "torch": torch.get_rng_state()},
            "best": {
                "score": list(self._at.best.score),
                "epoch": self._at.best.epoch,
                "state": self._at.best.state,
            },
            "precision": [self._task.recorded.name, self._task.recorded.channels_last],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._task.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["rng"]["torch"])
        best = state["best"]
        score = (float(best["score"][0]), float(best["score"][1]))
        if self._ranks.is_first or self._task.shares == 1:  # the saved sums are those of all ranks
            self._sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self._at = Progressed(
            step=state["step"],
            history=list(state["history"]),
            best=Best(score=score, epoch=best["epoch"], state=best["state"]),
            finished=state["finished"],
        )


def optimizer(model: nn.Module, config: Hyperparameters) -> torch.optim.Optimizer:
    """sgd or adamw over what is trainable; biases and norms are not decayed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = schedule.peak(config)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)


def _snapshot(model: nn.Module) -> State:
    return {name: copy.deepcopy(tensor.detach().cpu()) for name, tensor in model.state_dict().items()}


def _mix(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one rank, without the likeness of neighbours."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) & (2**63 - 1)
