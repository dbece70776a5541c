"""The end of a training: the closing evaluation, then rank 0 writes artifact and report."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from contract import metrics
from contract.artifact import Manifest, Provenance
from contract.golden import FILE as GOLDEN
from train import distributed, examples, export, report, schedule
from train.data import Sample
from train.evaluate import Evaluation
from train.job import Job, assess, say, show
from train.loop import Progressed
from train.precision import Precision
from train.results import Results


@dataclass(frozen=True, kw_only=True)
class Closing:
    """What is known of the trained network when only writing is left; `evaluation` is of the split named `split`."""

    progressed: Progressed
    precision: Precision
    split: str
    samples: tuple[Sample, ...]
    evaluation: Evaluation

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics of model.json: those of the epoch that was kept, then the closing ones."""
        kept = self.progressed.history[self.progressed.best.epoch]
        epoch = {name: value for name, value in kept.items() if name.startswith(("epoch", "train_", "valid_"))}
        return epoch | self.closing

    @property
    def closing(self) -> dict[str, float]:
        found = self.evaluation
        return {f"{self.split}_loss": found.loss, f"{self.split}_top1": found.top1, f"{self.split}_top5": found.top5}


def finish(job: Job, progressed: Progressed, used: Precision, environ: Mapping[str, str]) -> None:
    """The closing evaluation in float32, as it is served; then rank 0 writes artifact and report."""
    split, samples = ("test", job.index.test) if job.index.test else ("valid", job.index.valid)
    exact = Precision(name="fp32", channels_last=used.channels_last)
    final = assess(job, job.start.model, samples, exact, what=split)
    closing = Closing(progressed=progressed, precision=used, split=split, samples=samples, evaluation=final)
    if split == "test":
        show(job.ranks, metrics.line(closing.closing))
    distributed.together(lambda: write(job, closing, environ) if job.ranks.is_first else None)


def write(job: Job, closing: Closing, environ: Mapping[str, str]) -> None:
    """Rank 0's alone: the artifact in model_dir, the report in output_data_dir (CONTRACTS 14)."""
    place, manifest = job.run.environment, describe(job, closing, environ)
    shown = examples.choose(closing.samples)
    pictures = examples.pictures(shown, job.start.preprocessing, workers=job.workers)
    variant, held_out = job.start.variant, closing.samples
    export.export(job.start.model, manifest, pictures, place.model_dir, variant=variant, held_out=held_out)
    results = Results(
        labels=job.index.labels,
        history=tuple(closing.progressed.history),
        confusion=closing.evaluation.confusion,
        split=closing.split,
        metrics=manifest.metrics,
        config=manifest.hyperparameters,
        provenance=asdict(manifest.provenance),
        skipped=job.index.skipped,
        examples=examples.answers(job.start.model, shown, pictures, job.index.labels),
    )
    report.write(results, place.output_data_dir)
    shutil.copyfile(place.model_dir / GOLDEN, place.output_data_dir / GOLDEN)  # small, so that deploy can fetch it
    say(job.ranks, f"model in {place.model_dir}, report in {place.output_data_dir}")


def describe(job: Job, closing: Closing, environ: Mapping[str, str]) -> Manifest:
    config = job.config
    settings = {"learning_rate": schedule.peak(config), "precision": closing.precision.name}
    origin = Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data_sha256=job.index.sha256,
        image_digest=environ.get("KENNEL_IMAGE_DIGEST", ""),
        git_revision=environ.get("KENNEL_GIT_REVISION", ""),
        job_name=job.run.environment.job_name,
        weights_source=job.start.source,
    )
    return Manifest(
        architecture=config.model,
        labels=job.index.labels,
        preprocessing=job.start.preprocessing,
        metrics=closing.numbers,
        hyperparameters=config.to_dict() | settings,
        provenance=origin,
    )
