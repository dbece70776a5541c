"""One rank of the scaling benchmark. torchrun starts it as it starts the product's worker; rank 0 writes the result."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from benchmarks.throughput import cases, jobs
from benchmarks.throughput.cases import Case
from contract import models
from contract.hyperparameters import Hyperparameters
from train import worker
from train.__main__ import ROOT_VARIABLE
from train.host.environment import OPT_ML
from train.learning import distributed
from train.learning.distributed import Ranks
from train.learning.features import CHUNK
from train.pictures.index import Sample


def main(environ: Mapping[str, str]) -> None:
    root = Path(environ.get(ROOT_VARIABLE) or OPT_ML)
    samples = jobs.pictures(root / "input" / "data" / "training")
    ranks = distributed.from_environment(environ)
    speeds: dict[str, float] = {}
    with distributed.group(ranks):
        for case in cases.from_text(environ[cases.VARIABLE]):
            speeds |= features(case, samples, ranks) if case.frozen else steps(case, samples, ranks)
        distributed.barrier()
    if ranks.is_first:
        (root / cases.RESULT).write_text(json.dumps(speeds), encoding="utf-8")


def features(case: Case, samples: Sequence[Sample], ranks: Ranks) -> dict[str, float]:
    """Pictures a second through the frozen backbone, over all ranks. Each rank first computes one chunk to warm up."""
    with tempfile.TemporaryDirectory() as folder:
        made = jobs.job(config(case, ranks), jobs.index(samples, name="whole"), ranks, Path(folder))
        used = jobs.placed(made)
        models.attach_head(made.start.model, nn.Identity(), models.head_name(made.start.model))
        parts = {"warm": CHUNK * ranks.world_size, "timed": case.pictures}
        for name, count in parts.items():
            index = replace(made.index, train=tuple(samples[:count]), valid=tuple(samples[:1]), sha256=name)
            part = replace(made, index=index)
            distributed.barrier()
            began = time.perf_counter()
            worker.extract(part, used)
            seconds = time.perf_counter() - began
    return {case.name: case.pictures / seconds}


def steps(case: Case, samples: Sequence[Sample], ranks: Ranks) -> dict[str, float]:
    """Pictures a second over all ranks while the whole network is trained.

    Several ranks then train once more without exchanging gradients, each on its part of the batch, at the same time.
    The difference in speed is the cost of exchanging gradients.
    """
    speeds = {case.name: throughput(case, samples[: case.pictures], config(case, ranks), ranks)}
    if ranks.world_size > 1:
        part = samples[: case.pictures][ranks.rank :: ranks.world_size]
        own = replace(config(case, ranks), batch_size=case.batch // ranks.world_size)
        alone = throughput(case, part, own, Ranks(device=ranks.device))
        speeds[case.name + cases.ALONE] = distributed.total([alone])[0]
    return speeds


def throughput(case: Case, samples: Sequence[Sample], settings: Hyperparameters, ranks: Ranks) -> float:
    """Pictures a second of an epoch, as the product reports it. An epoch of one step runs first to warm up."""
    with tempfile.TemporaryDirectory() as folder:
        whole = jobs.index(samples, name=case.name, valid=samples[:2])
        made = jobs.job(settings, whole, ranks, Path(folder))
        used = jobs.placed(made)
        warm = replace(made, index=replace(whole, train=tuple(samples[: settings.batch_size])))
        worker.train_network(warm, used, None)
        return worker.train_network(made, used, None).history[-1]["pictures_per_second"]


def config(case: Case, ranks: Ranks) -> Hyperparameters:
    settings = Hyperparameters(
        model=case.model,
        freeze_backbone=case.frozen,
        crop=case.crop,
        resize=max(case.crop, 256),
        batch_size=case.batch,
        epochs=1,
        learning_rate=1e-3,
    )
    return jobs.steady(settings, ranks.device)


if __name__ == "__main__":
    main(os.environ)
    sys.exit(0)
