"""One rank: joins the other ranks, builds the network, trains and evaluates it; rank 0 packages it.

torchrun starts it, or the supervisor itself if there is only one rank. Exit codes: 0 done; 1 failed, with the reason
in a file for the supervisor; 143 stopped after writing a checkpoint, or 0 if a supervisor learns of the stop from a
file, because torchrun reports any other code as a failure.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NoReturn

import torch
from torch import nn

from contract import metrics, models
from contract.hyperparameters import Hyperparameters
from contract.preprocess import Preprocessing
from train.host.environment import WEIGHTS_CHANNEL
from train.job import Job, Start, StopSignal, assess, log, print_line
from train.learning import distributed, features, precision, weights
from train.learning.checkpoint import Store
from train.learning.distributed import Ranks, Stopped
from train.learning.evaluate import Evaluation
from train.learning.loop import Loop, Snapshot, Step, Task, TrainingState
from train.learning.precision import Precision
from train.packaging.finish import finish
from train.pictures import loader
from train.pictures.index import Index, read_index
from train.run import Run, read_run, write_done, write_error, write_stopped

STOPPED, FAILED = 143, 1


def main(environ: Mapping[str, str]) -> int:
    torch.backends.cudnn.benchmark = True  # the sizes are the same for all batches but the last
    stop = StopSignal()
    stop.install()
    ranks = distributed.from_environment(environ)
    try:
        with distributed.group(ranks):
            work(read_run(environ), ranks, stop, environ)
            distributed.barrier()  # in the SDK's local mode the first exit ends all ranks: exit together
    except Stopped as reason:
        log(ranks, f"stopped {reason}; run the same command again to resume from the checkpoint")
        return 0 if write_stopped(rank=ranks.rank, environ=environ) else STOPPED
    except Exception as error:
        traceback.print_exc()
        write_error(error, rank=ranks.rank, environ=environ)
        return FAILED
    write_done(rank=ranks.rank, environ=environ)
    return 0


def work(run: Run, ranks: Ranks, stop: StopSignal, environ: Mapping[str, str]) -> None:
    """The whole training of one rank, inside the process group."""
    index = distributed.together(lambda: read_index(run.index_path))
    distributed.check_equal("the pictures' sha256", index.sha256)
    start = prepare(run, index, ranks)
    marks = fingerprint(run.config, index, distributed.from_first(distributed.digest(start.model)))
    store = Store(run.environment.checkpoint_dir, marks)
    job = Job(config=run.config, run=run, index=index, ranks=ranks, start=start, store=store, stop=stop)
    state, used = train(job)
    finish(job, state, used, environ)


def prepare(run: Run, index: Index, ranks: Ranks) -> Start:
    """Builds the network. Every rank gets rank 0's initial weights."""
    config = run.config
    channel = run.environment.channels.get(WEIGHTS_CHANNEL)

    def load() -> Start:
        initial = weights.resolve(config.weights, config.model, channel)
        torch.manual_seed(config.seed)
        variant = initial.variant if initial else ""
        model = models.build(config.model, len(index.labels), variant)
        models.check_side(model, config.model, config.crop)
        normal = {"mean": initial.mean, "std": initial.std} if initial else {}
        source = initial.source if initial else f"random weights, seed {config.seed}"
        if initial:
            models.load(model, initial, labels=index.labels)
        scale = Preprocessing(resize=config.resize, crop=config.crop, **normal)
        return Start(model=model, preprocessing=scale, variant=variant, source=source)

    if ranks.local_rank == 0:  # one download per host; the other ranks then find the file
        start = distributed.together(load)
        distributed.together(lambda: None)
    else:
        distributed.together(lambda: None)
        start = distributed.together(load)
    distributed.broadcast_module(start.model)
    log(ranks, f"{config.model} from {start.source}, {len(index.labels)} classes")
    return start


def fingerprint(config: Hyperparameters, index: Index, initial: str) -> dict[str, str]:
    """The facts that a checkpoint and the training that resumes it must have in common."""
    machine = (
        "precision",
        "channels_last",
        "engine",
        "serve_precision",
        "workers",
        "ranks",
        "checkpoint_interval_steps",
        "max_bad_share",
        "weights",
    )
    settings = {name: str(value) for name, value in config.to_dict().items() if name not in machine}
    return {
        "pictures": index.sha256,
        "classes": features.key(*index.labels),
        "starting weights": initial,
        **settings,
    }


def train(job: Job) -> tuple[TrainingState, Precision]:
    """Trains the head or the network. Afterwards job.start.model holds the best weights."""
    kept = job.store.latest()
    resumed = Snapshot.from_dict(kept) if kept is not None else None
    if resumed is not None:
        used = resumed.precision
        log(job.ranks, f"resuming after step {resumed.at.step} (epoch {len(resumed.at.history)} done)")
    else:
        choose = lambda: precision.choose(job.config, job.start.model, job.ranks.device)  # noqa: E731
        used = distributed.from_first(distributed.together(choose))
    layout = "channels_last" if used.channels_last else "contiguous"
    log(job.ranks, f"{job.ranks.world_size} rank(s) on {job.ranks.device.type}, {used.name}, {layout}")
    job.start.model.to(job.ranks.device, memory_format=used.memory_format)
    if job.config.freeze_backbone:
        return train_head(job, used, resumed), used
    return train_network(job, used, resumed), used


def train_head(job: Job, used: Precision, resumed: Snapshot | None) -> TrainingState:
    """Computes the features of every picture once with the frozen backbone, then trains the head on them."""
    model, place = job.start.model, models.head_name(job.start.model)
    head = models.head_of(model)
    models.attach_head(model, nn.Identity(), place)
    train_split, valid_split = extract(job, used)
    small = features.Standard(head.cpu(), train_split.values)
    plan = loader.epoch_batches(len(job.index.train), job.config.batch_size, seed=0, epoch=0)

    def steps(epoch: int, first: int) -> Iterator[Step]:
        return features.steps(train_split, job.config.batch_size, seed=job.config.seed, epoch=epoch, first=first)

    def validate() -> Evaluation:
        return features.evaluate(small, valid_split, classes=job.classes)

    task = Task(
        model=small,
        forward=small,
        steps=steps,
        steps_per_epoch=len(plan),
        validate=validate,
        recorded=used,
    )
    on_cpu = replace(job.ranks, device=torch.device("cpu"))  # every rank trains the whole head, with the same result
    state = Loop(task, job.config, on_cpu, job.store, stop=job.stop, report=reporter(job.ranks)).fit(resumed)
    models.attach_head(model, small.plain().to(job.ranks.device), place)
    return state


def extract(job: Job, used: Precision) -> tuple[features.Features, features.Features]:
    """Features of the training and the validation pictures."""
    config, scale = job.config, job.start.preprocessing
    views = features.views(scale, config.views, augment=config.augment, seed=config.seed)
    extractor = features.Extractor(
        backbone=job.start.model,
        ranks=job.ranks,
        precision=used,
        workers=job.workers,
        folder=job.run.environment.checkpoint_dir,
        key=features.key(
            *(job.index.sha256, str(scale), distributed.from_first(distributed.digest(job.start.model))),
            *(str(used), str(config.seed), job.start.variant, config.model),
        ),
        memory=job.run.environment.memory,
        stop=job.stop,
    )
    bar = job.progress("features", len(job.index.train) * len(views) + len(job.index.valid))
    train_split = extractor.split("train", job.index.train, views, bar.advance)
    valid_split = extractor.split("valid", job.index.valid, views[:1], bar.advance)
    bar.close()
    if train_split.are_mapped:
        log(job.ranks, f"features are on disk: {train_split.values.nbytes / 1e9:.1f} GB is too much for memory")
    return train_split, valid_split


def train_network(job: Job, used: Precision, resumed: Snapshot | None) -> TrainingState:
    """Trains the whole network. BatchNorm sees the global batch on several GPUs, a rank's share of it on CPUs."""
    config, ranks, index = job.config, job.ranks, job.index
    loader.check_batches(len(index.train), config.batch_size, ranks.world_size)
    model: nn.Module = job.start.model
    if ranks.device.type == "cuda" and ranks.world_size > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    forward = nn.parallel.DistributedDataParallel(model) if ranks.world_size > 1 else model
    task = Task(
        model=model,
        forward=forward,
        steps=lambda epoch, first: picture_steps(job, used, epoch, first),
        steps_per_epoch=len(loader.epoch_batches(len(index.train), config.batch_size, seed=0, epoch=0)),
        validate=lambda: assess(job, model, index.valid, used, title="validation"),
        shares=ranks.world_size,
        precision=used,
        recorded=used,
    )
    return Loop(task, config, ranks, job.store, stop=job.stop, report=reporter(ranks)).fit(resumed)


def picture_steps(job: Job, used: Precision, epoch: int, first: int) -> Iterator[Step]:
    """This rank's share of each global batch of an epoch, starting at step `first`."""
    config, ranks, samples = job.config, job.ranks, job.index.train
    scale = job.start.preprocessing
    if config.augment:
        transform = loader.augmentation(scale, seed=config.seed, epoch=epoch)
    else:
        transform = loader.evaluation(scale)
    whole = loader.epoch_batches(len(samples), config.batch_size, seed=config.seed, epoch=epoch)[first:]
    mine = [loader.share_of(batch, ranks.rank, ranks.world_size) for batch in whole]
    bar = job.progress(f"epoch {epoch + 1}/{config.epochs}", sum(len(batch) for batch in whole))
    for batch, everybody in zip(loader.batches(samples, mine, transform, workers=job.workers), whole, strict=True):
        yield Step(
            inputs=batch.pictures.to(ranks.device, memory_format=used.memory_format, non_blocking=True),
            labels=batch.labels.to(ranks.device, non_blocking=True),
            whole=len(everybody),
        )
        bar.advance(len(everybody))
    bar.close()


def reporter(ranks: Ranks) -> Callable[[Mapping[str, float]], None]:
    """Prints an epoch's line, on rank 0 (rule 18)."""
    return lambda values: print_line(ranks, metrics.line(values))


def leave(code: int) -> NoReturn:
    """Ends the process at once: everything is written, and shutting torch down takes a second and a half."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(os.environ))
