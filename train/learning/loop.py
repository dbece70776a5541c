"""The training loop. It trains a head on features or a whole network on pictures, on one rank or many.

Steps are numbered over all epochs. A step depends only on the state before it and on its number, which decides the
order of pictures, augmentation, dropout and learning rate. So a resumed training ends with the same weights as an
uninterrupted one.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    """The loss is infinite or not a number. The message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rank's part of a global batch. `whole` is the number of pictures in the global batch."""

    inputs: torch.Tensor
    labels: torch.Tensor
    whole: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What differs between training a head and training a network.

    model: the module to train and save. forward: the module that computes its logits (the model, or DDP around it).
    steps(epoch, first): this rank's steps of an epoch, starting at step `first`. validate(): evaluates the current
    model; may raise Stopped, on every rank.
    shares: the number of ranks that divide a batch; 1 when each rank trains on the whole batch.
    precision: of the steps. recorded: of the whole network; the checkpoint keeps it for a resumed training.
    """

    model: nn.Module
    forward: nn.Module
    steps: Callable[[int, int], Iterable[Step]]
    steps_per_epoch: int
    validate: Callable[[], Evaluation]
    shares: int = 1
    precision: Precision = PLAIN
    recorded: Precision = PLAIN


@dataclass(frozen=True, kw_only=True)
class Best:
    """The weights of the epoch with the best validation. `score` is (top-1, minus the loss)."""

    score: tuple[float, float] = (-math.inf, -math.inf)
    epoch: int = 0
    state: State = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """How far a training is: `step` steps are done, and `history` has a row for each finished epoch."""

    step: int = 0
    history: tuple[dict[str, float], ...] = ()
    best: Best = field(default_factory=Best)
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The content of a checkpoint: everything that the next step depends on.

    `sums` are the loss, hits and pictures of the epoch so far, over all ranks. `model`, `optimizer` and `scaler` are
    torch's state dicts, `generator` is its random generator's state, `seed` the hyperparameter.
    """

    at: TrainingState
    sums: tuple[float, ...]
    model: State
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    seed: int
    generator: torch.Tensor
    precision: Precision

    def to_dict(self) -> dict[str, Any]:
        """Values that torch reads back with weights_only."""
        best = self.at.best
        return {
            "step": self.at.step,
            "epoch": len(self.at.history),
            "finished": self.at.finished,
            "sums": list(self.sums),
            "history": list(self.at.history),
            "model": self.model,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "rng": {"seed": self.seed, "step": self.at.step, "torch": self.generator},
            "best": {"score": list(best.score), "epoch": best.epoch, "state": best.state},
            "precision": [self.precision.name, self.precision.channels_last],
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Snapshot:
        best, (name, channels_last) = values["best"], values["precision"]
        top1, loss = best["score"]
        return Snapshot(
            at=TrainingState(
                step=values["step"],
                history=tuple(values["history"]),
                best=Best(score=(float(top1), float(loss)), epoch=best["epoch"], state=best["state"]),
                finished=values["finished"],
            ),
            sums=tuple(values["sums"]),
            model=values["model"],
            optimizer=values["optimizer"],
            scaler=values["scaler"],
            seed=values["rng"]["seed"],
            generator=values["rng"]["torch"],
            precision=Precision(name=name, channels_last=channels_last),
        )


class Loop:
    """Trains a Task with hyperparameters and keeps checkpoints in a Store."""

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
        self._at = TrainingState()
        self._sums = torch.zeros(3, dtype=torch.float64, device=ranks.device)  # on the device: no step waits for a GPU

    def fit(self, resumed: Snapshot | None) -> TrainingState:
        """Trains to the end, from `resumed` if given. Afterwards the model holds the best weights.

        Raises Stopped and DivergedError.
        """
        if resumed is not None:
            self._restore(resumed)
        while not self._at.finished:
            self._epoch(len(self._at.history))
        self._task.model.load_state_dict(self._at.best.state)
        return self._at

    def _epoch(self, epoch: int) -> None:
        first = (
            self._at.step - epoch * self._task.steps_per_epoch
        )  # equals steps_per_epoch after a stop before validation
        began, pictures_before = self._clock(), self._totals()[2]
        self._task.forward.train()
        for step in self._task.steps(epoch, first):
            self._step(step)
            self._after_step()
        sums = self._totals()
        throughput = (sums[2] - pictures_before) / max(1e-9, self._clock() - began)
        self._end_epoch(epoch, sums, throughput)

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
        # DDP averages gradients over ranks. With this weight the average is the mean over the whole batch, even when
        # ranks have different numbers of pictures.
        loss = each * (self._task.shares / step.whole)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        self._count(each, logits, step.labels)

    def _count(self, loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        hits = (logits.detach().argmax(dim=1) == labels).sum()
        pictures = torch.full_like(loss, len(labels), dtype=torch.float64)
        self._sums += torch.stack([loss.detach().double(), hits.double(), pictures])

    def _totals(self) -> list[float]:
        """This epoch's loss, hits and pictures so far, over all ranks. Raises DivergedError."""
        sums: list[float] = self._sums.tolist()
        sums = distributed.total(sums) if self._task.shares > 1 else sums
        if not math.isfinite(sums[0]):
            raise DivergedError(
                f"the loss is {sums[0]} at step {self._at.step}: lower learning_rate "
                f"(now {schedule.peak(self._config):g}) or set warmup_epochs"
            )
        return sums

    def _after_step(self) -> None:
        self._at = replace(self._at, step=self._at.step + 1)
        stopping = distributed.any_rank(self._stop())
        interval = self._config.checkpoint_interval_steps
        due = bool(interval) and self._at.step % interval == 0 and self._at.step % self._task.steps_per_epoch != 0
        if stopping or due:  # the end of an epoch saves after validation
            self._save()
        if stopping:
            raise Stopped(f"after step {self._at.step}")

    def _end_epoch(self, epoch: int, sums: list[float], throughput: float) -> None:
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
            "pictures_per_second": throughput,
        }
        self._sums.zero_()
        best, score = self._at.best, (valid.top1, -valid.loss)
        if score > best.score:
            best = Best(score=score, epoch=epoch, state=_copy(self._task.model))
        late = bool(self._config.patience) and epoch - best.epoch >= self._config.patience
        finished = epoch + 1 >= self._config.epochs or late
        self._at = replace(self._at, history=(*self._at.history, values), best=best, finished=finished)
        self._save()
        self._report(values)
        if distributed.any_rank(self._stop()) and not self._at.finished:
            raise Stopped(f"after epoch {epoch + 1}")

    def _save(self) -> None:
        sums = self._totals()
        if self._ranks.is_first:
            self._store.save(self._at.step, self._snapshot(sums).to_dict())
        distributed.barrier()

    def _snapshot(self, sums: list[float]) -> Snapshot:
        return Snapshot(
            at=self._at,
            sums=tuple(sums),
            model=self._task.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            scaler=self._scaler.state_dict(),
            seed=self._config.seed,
            generator=torch.get_rng_state(),
            precision=self._task.recorded,
        )

    def _restore(self, snapshot: Snapshot) -> None:
        self._task.model.load_state_dict(snapshot.model)
        self._optimizer.load_state_dict(snapshot.optimizer)
        self._scaler.load_state_dict(snapshot.scaler)
        torch.set_rng_state(snapshot.generator)
        if self._ranks.is_first or self._task.shares == 1:  # the saved sums are those of all ranks
            self._sums.copy_(torch.tensor(snapshot.sums, dtype=torch.float64))
        self._at = snapshot.at


def optimizer(model: nn.Module, config: Hyperparameters) -> torch.optim.Optimizer:
    """sgd or adamw over the trainable parameters, without weight decay for biases and norms."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate = schedule.peak(config)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)


def _copy(model: nn.Module) -> State:
    return {name: copy.deepcopy(tensor.detach().cpu()) for name, tensor in model.state_dict().items()}


def _mix(seed: int, step: int, rank: int) -> int:
    """A seed for one step of one rank. Neighbouring steps and ranks get unrelated seeds."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) & (2**63 - 1)
