"""The end of a training: packages the model, evaluates it once more, and writes the artifact and the report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import numpy as np
import torch

from contract import cgroup, metrics
from contract.artifact import Manifest, Provenance
from contract.engine import Network
from contract.golden import FILE as GOLDEN
from contract.machine import this_machine
from train.job import Job, assess, log, print_line
from train.learning import distributed, features, schedule
from train.learning.distributed import Stopped
from train.learning.evaluate import Evaluation, Tally
from train.learning.loop import TrainingState
from train.learning.precision import Precision
from train.packaging import engine_choice, export, golden
from train.packaging.engine_choice import Dependencies, Inputs, Packaged
from train.pictures import loader
from train.pictures.index import Sample
from train.reporting import examples, report
from train.reporting.results import Results

CALIBRATION, VALIDATION = 64, 1000  # pictures, at most


@dataclass(frozen=True, kw_only=True)
class Closing:
    """The trained network's results. `evaluation` is of the split named `split`, whose pictures are `samples`."""

    state: TrainingState
    split: str
    samples: tuple[Sample, ...]
    evaluation: Evaluation

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics of model.json: those of the best epoch and the closing ones."""
        kept = self.state.history[self.state.best.epoch]
        epoch = {name: value for name, value in kept.items() if name.startswith(("epoch", "train_", "valid_"))}
        return epoch | self.closing

    @property
    def closing(self) -> dict[str, float]:
        """The metrics of the closing evaluation."""
        final = self.evaluation
        return {f"{self.split}_loss": final.loss, f"{self.split}_top1": final.top1, f"{self.split}_top5": final.top5}


def finish(job: Job, state: TrainingState, used: Precision, environ: Mapping[str, str]) -> None:
    """Packages, evaluates and writes; every rank must call it, and rank 0 does the writing.

    The closing evaluation runs the packaged network exactly as serving does. On a GPU it runs torch in float32
    instead, which is much faster.
    """
    split, samples = ("test", job.index.test) if job.index.test else ("valid", job.index.valid)
    on_gpu, final = job.ranks.device.type == "cuda", None
    if on_gpu:
        exact = Precision(name="fp32", channels_last=used.channels_last)
        final = assess(job, job.start.model, samples, exact, title=split)
    first = job.ranks.is_first
    manifest = describe(job, used, environ)
    packaged = distributed.together(lambda: package(job, manifest, samples) if first else None)
    if not on_gpu:
        final = distributed.together(lambda: evaluate_packaged(job, packaged.network, samples) if packaged else None)
    if distributed.any_rank(first and final is None):
        raise Stopped("while evaluating the packaged model")
    if final is None or packaged is None:
        distributed.together(lambda: None)
        return
    closing = Closing(state=state, split=split, samples=samples, evaluation=final)
    if split == "test":
        print_line(job.ranks, metrics.line(closing.closing))
    whole = replace(manifest, metrics=closing.numbers, serving=packaged.choice)
    distributed.together(lambda: write(job, closing, whole, packaged))


def package(job: Job, manifest: Manifest, held_out: Sequence[Sample]) -> Packaged:
    """Rank 0 only: writes the network's files into model_dir and chooses the inference engine."""
    scale, folder, config = job.start.preprocessing, job.run.environment.model_dir, job.config
    shown = examples.pictures(examples.choose(held_out), scale, workers=job.workers)
    export.write_networks(job.start.model, manifest, shown, folder, variant=job.start.variant)
    validation = examples.choose(job.index.valid, VALIDATION)
    calibration = examples.choose(job.index.train, CALIBRATION)
    inputs = Inputs(
        folder=folder,
        preprocessing=scale,
        labels=job.classes,
        calibration=examples.pictures(calibration, scale, workers=job.workers).numpy(),
        held_out=examples.pictures(validation, scale, workers=job.workers).numpy(),
        truth=np.array([sample.label for sample in validation]),
        golden=golden.compute(job.start.model, golden.choose(held_out, manifest.labels, scale), scale),
        machine=this_machine(cgroup.usable_cpus()),
        engine=config.engine,
        precision=config.serve_precision,
    )
    return engine_choice.package(inputs, Dependencies(log=lambda line: log(job.ranks, line)))


def evaluate_packaged(job: Job, network: Network, samples: Sequence[Sample]) -> Evaluation | None:
    """Evaluates the packaged network on a split exactly as it will serve. None after a stop signal."""
    tally = Tally(job.classes)
    plan = [list(range(at, min(len(samples), at + features.BATCH))) for at in range(0, len(samples), features.BATCH)]
    bar = job.progress("closing evaluation", len(samples))
    transform = loader.evaluation(job.start.preprocessing)
    for batch in loader.batches(samples, plan, transform, workers=job.workers):
        if job.stop():
            return None
        tally.add(torch.from_numpy(engine_choice.logits(network, batch.pictures.numpy())), batch.labels)
        bar.advance(len(batch.labels))
    bar.close()
    return tally.result(over_ranks=False)


def write(job: Job, closing: Closing, manifest: Manifest, packaged: Packaged) -> None:
    """Rank 0 only: completes the artifact in model_dir and writes the report to output_data_dir (rule 14)."""
    place = job.run.environment
    shown = examples.choose(closing.samples)
    pictures = examples.pictures(shown, job.start.preprocessing, workers=job.workers)
    export.complete(manifest, place.model_dir, packaged.golden)
    results = Results(
        labels=job.index.labels,
        history=closing.state.history,
        confusion=closing.evaluation.confusion,
        split=closing.split,
        metrics=manifest.metrics,
        config=manifest.hyperparameters,
        provenance=asdict(manifest.provenance),
        skipped=job.index.skipped,
        examples=examples.answers(job.start.model, shown, pictures, job.index.labels),
    )
    report.write(results, place.output_data_dir)
    shutil.copyfile(
        place.model_dir / GOLDEN, place.output_data_dir / GOLDEN
    )  # for deploy: output.tar.gz is smaller than model.tar.gz
    log(job.ranks, f"model in {place.model_dir}, report in {place.output_data_dir}")


def describe(job: Job, used: Precision, environ: Mapping[str, str]) -> Manifest:
    """The manifest without metrics and engine, which are not known yet."""
    config = job.config
    settings = {"learning_rate": schedule.peak(config), "precision": used.name}
    origin = Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data_sha256=job.index.sha256,
        image_digest=environ.get("KENNEL_IMAGE_DIGEST", ""),
        git_revision=environ.get("KENNEL_GIT_REVISION", ""),
        kennel_version=environ.get("KENNEL_VERSION", ""),
        job_name=job.run.environment.job_name,
        weights_source=job.start.source,
    )
    return Manifest(
        architecture=config.model,
        labels=job.index.labels,
        preprocessing=job.start.preprocessing,
        hyperparameters=config.to_dict() | settings,
        provenance=origin,
    )
