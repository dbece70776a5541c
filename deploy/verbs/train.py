"""train: a job on pushed pictures, followed to its end; what is trained already is not trained again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract import metrics
from deploy import data as pictures
from deploy.apply import resolve
from deploy.desired import foundation
from deploy.errors import DataError, DeployError
from deploy.jobs import request as jobs
from deploy.jobs import sagemaker
from deploy.jobs.request import JobResult
from deploy.log_reader import Line
from deploy.models import Plan, Request
from deploy.observe import observe
from deploy.plan import plan
from deploy.progress import Screen
from deploy.sections.base import Scalar
from deploy.session import Session
from deploy.verbs.data import WEIGHTS, data_prefix


def train(
    session: Session,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    verbose: bool = True,
) -> JobResult:
    """Trains on pushed pictures, or finds it done. Raises DataError, JobError."""
    job = job_request(session, name, purpose=purpose, overrides=overrides)
    roots = foundation(session.settings)
    session.settle(roots)
    job, found = sagemaker.attempt(job, session.call)
    say = session.screen.say
    if found is None:
        session.ready()
        session.call(_resolved(sagemaker.create(job), plan(roots, observe(roots, session.call))))
        say(f"   {job.name}: {job.instance_count} × {job.instance_type}")
    else:
        say(f"   {job.name}: {str(found['TrainingJobStatus']).lower()}, taken up again")
    return sagemaker.follow(
        job.name,
        session.call,
        clock=session.clock,
        line=Listener(session.screen, verbose).line,
        status=lambda status, message: say(f"   {status}{': ' if message else ''}{message}"),
    )


def job_request(
    session: Session, name: str, *, purpose: str = "train", overrides: Mapping[str, Scalar] | None = None
) -> jobs.JobRequest:
    """The job that trains on the pictures pushed as `name`. Raises DataError when none are there."""
    settings = session.settings
    bucket = settings.bucket
    try:
        content = pictures.listing(session.call, bucket=bucket, prefix=data_prefix(name))
        weights = pictures.listing(session.call, bucket=bucket, prefix=WEIGHTS)
    except DeployError as error:
        if "NoSuchBucket" not in str(error):
            raise
        content, weights = {}, {}
    if not content:
        raise DataError(f"s3://{bucket}/{data_prefix(name)}: no pictures there yet; run ./inv data {name}")
    pushed = pictures.describe(content, bucket=bucket, prefix=data_prefix(name))
    image = session.image("train")
    return jobs.request(
        settings,
        image=image.uri,
        image_tag=image.tag,
        data=pushed.uri,
        data_hash=pushed.hash,
        weights=f"s3://{bucket}/{WEIGHTS}" if weights else "",
        purpose=purpose,
        overrides=overrides,
    )


@dataclass(frozen=True)
class Listener:
    """Shows a job's lines: all of them, or only the metric line of each epoch."""

    screen: Screen
    verbose: bool

    def line(self, line: Line) -> None:
        found = metrics.parse(line.text)
        if found:
            self.screen.say(f"   {_epoch(found[0])}")
        elif self.verbose:
            self.screen.say(f"   {line.host} │ {line.text}")


def _epoch(values: Mapping[str, float]) -> str:
    """A metric line for people: the epoch (or the closing test), losses and top-1."""
    title = f"epoch {values['epoch']:3.0f}" if "epoch" in values else "         "
    parts = [
        f"{split} loss {values[f'{split}_loss']:.3f} top-1 {values[f'{split}_top1']:6.1%}"
        for split in ("train", "valid", "test")
        if f"{split}_loss" in values and f"{split}_top1" in values
    ]
    return "   ".join([title, *parts])


def _resolved(request: Request, known: Plan) -> Request:
    values: dict[str, Any] = {
        f"{address}.{name}": value for address, found in known.known.items() for name, value in found.items()
    }
    return Request(service=request.service, operation=request.operation, params=resolve(request.params, values))
