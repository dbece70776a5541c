"""The job of a rank as a value, and the functions that many parts of the work share: evaluate, print, log."""

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
    """Remembers SIGTERM until the current step is done (rule 16)."""

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
    """The network to train, with the same weights on every rank, and where they come from (`source`)."""

    model: nn.Module
    preprocessing: Preprocessing
    variant: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """The job of one rank."""

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
        """Decoding threads of this rank. More threads than cores would only compete with the network's own."""
        if self.config.workers is not None:
            return max(1, self.config.workers)
        return max(1, min(16, int(torch.get_num_threads())))

    def progress(self, title: str, pictures: int) -> Progress:
        return Progress(title, pictures, shown=self.ranks.is_first)


def assess(job: Job, model: nn.Module, samples: Sequence[Sample], used: Precision, *, title: str) -> Evaluation:
    """Evaluates the network on a split, with pictures prepared as in serving, each once over all ranks."""
    bar = job.progress(title, len(samples))
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


def print_line(ranks: Ranks, text: str) -> None:
    """Prints on rank 0, to stdout."""
    if ranks.is_first:
        print(text, flush=True)  # noqa: T201


def log(ranks: Ranks, text: str) -> None:
    """Logs on rank 0, to stderr."""
    if ranks.is_first:
        print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201
