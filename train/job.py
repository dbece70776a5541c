"""What every part of a rank's work needs to know: the job as a value, and how it speaks."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from contract.preprocess import Preprocessing
from train.learning import evaluate, features
from train.learning.checkpoint import Store
from train.learning.distributed import Ranks
from train.learning.evaluate import Evaluation
from train.learning.precision import Precision
from train.pictures import loader
from train.pictures.index import Index, Sample
from train.reporting.progress import Progress
from train.run import Run


class StopSignal:
    """Remembers SIGTERM until the step in progress is done (rule 16)."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self) -> bool:
        return self.received

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._receive)

    def _receive(self, _number: int, _frame: object) -> None:
        self.received = True


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network ready to be trained, the same on every rank."""

    model: nn.Module
    preprocessing: Preprocessing
    variant: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every part of a rank's work needs to know."""

    config: Hyperparameters
    run: Run
    index: Index
    ranks: Ranks
    start: Start
    store: Store
    stop: StopSignal

    @property
    def classes(self) -> int:
        return len(self.index.labels)

    @property
    def workers(self) -> int:
        """Decoding threads of this rank. One more than cores would only take turns with the network's own."""
        if self.config.workers is not None:
            return max(1, self.config.workers)
        return max(1, min(16, int(torch.get_num_threads())))

    def progress(self, what: str, pictures: int) -> Progress:
        return Progress(what, pictures, shown=self.ranks.is_first)


def assess(job: Job, model: nn.Module, samples: Sequence[Sample], used: Precision, *, what: str) -> Evaluation:
    """The network on a split as serving would see it, each picture once over all ranks."""
    bar = job.progress(what, len(samples))
    result = evaluate.evaluate(
        model,
        samples,
        loader.evaluation(job.start.preprocessing),
        classes=job.classes,
        ranks=job.ranks,
        precision=used,
        batch_size=features.BATCH,
        workers=job.workers,
        stop=job.stop,
        advance=bar.advance,
    )
    bar.close()
    return result


def show(ranks: Ranks, text: str) -> None:
    if ranks.is_first:
        print(text, flush=True)  # noqa: T201


def say(ranks: Ranks, text: str) -> None:
    if ranks.is_first:
        print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201
