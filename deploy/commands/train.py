"""train: runs a job on pushed pictures and follows it to its end. A model that exists is not trained again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from contract import metrics
from deploy.aws.client import pages
from deploy.aws.logs import Line
from deploy.aws.s3_upload import upload
from deploy.commands.data import WEIGHTS, data_prefix
from deploy.config.section import Scalar, unknown
from deploy.config.settings import Settings
from deploy.config.training import Backend as BackendName
from deploy.console import Screen
from deploy.costs import preflight
from deploy.errors import DataError, DeployError, JobError, SettingsError
from deploy.iam.role import training_role
from deploy.jobs import records
from deploy.jobs import request as jobs
from deploy.jobs.backend import Backend, InterruptedJobError, Reader, follow
from deploy.jobs.ec2 import Ec2Backend
from deploy.jobs.latest import is_of
from deploy.jobs.lifecycle import reused
from deploy.jobs.local import LocalBackend
from deploy.jobs.progress import Progress
from deploy.jobs.request import JobRequest, JobResult
from deploy.jobs.sagemaker import SageMakerBackend
from deploy.jobs.training_job import TrainingJob, newest_first
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.storage import dataset as pictures
from deploy.storage.bucket import bucket

LAUNCHES = 20
MOST_HOSTS = 100
NAME = r"(?=.{1,20}$)[a-z0-9](-?[a-z0-9])*"


@dataclass(frozen=True, kw_only=True)
class LocalPaths:
    """What local training needs: the folder of all runs, and the folder or file of each channel (training, weights)."""

    runs: Path
    sources: Mapping[str, Path]


def checked(settings: Settings, *, on: str = "", name: str = "train", instances: int = 0) -> str:
    """The backend to train on: sagemaker, ec2 or local. Raises SettingsError for an invalid backend, name or count."""
    backend = on or settings.training.on
    if backend not in get_args(BackendName):
        raise SettingsError(f"--on: {unknown(backend, get_args(BackendName))}")
    if not re.fullmatch(NAME, name):
        raise SettingsError(
            f"--name: {name!r}: use lower-case letters, digits and single hyphens, at most 20 characters"
        )
    if not 0 <= instances <= MOST_HOSTS:
        raise SettingsError(f"--instances: {instances}: choose 1 to {MOST_HOSTS}")
    if backend != "sagemaker" and instances > 1:
        raise SettingsError(
            f"--instances: {instances}: {backend} trains on one machine, with all of its GPUs; "
            "choose a larger machine, or --on sagemaker"
        )
    return backend


def left_running(backend: str) -> str:
    """The message after Ctrl-C: whether the job still runs."""
    if backend == "local":
        return "stopped; the same command resumes the job from its checkpoint"
    return "the job is still running: the same command follows it again, and --stop stops it"


def train(
    session: Session,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    instances: int | None = None,
    on: str = "",
    local: LocalPaths | None = None,
    show_log: bool = True,
) -> JobResult:
    """Trains on the pictures pushed as `name`, or returns the result of a job that did. `on` overrides training.on.

    Local training needs `local`. Without `show_log` only the epochs are shown. Raises DataError, JobError.
    """
    backend = on or session.settings.training.on
    if backend == "local":
        if local is None:
            raise JobError("local training: no folder of pictures given; run ./inv train --on local --source FOLDER")
        return train_locally(session, local, name, purpose=purpose, overrides=overrides, show_log=show_log)
    job = job_request(session, name, purpose=purpose, overrides=overrides, instances=instances, on=backend)
    session.settle(foundation(session.settings))
    if backend == "ec2":
        return run(session, Ec2Backend(session=session), job, show_log=show_log)
    return run(session, SageMakerBackend(call=session.call), with_role(session, job), show_log=show_log)


def with_role(session: Session, job: JobRequest) -> JobRequest:
    """The job with the ARN of the training role, which the foundation has created."""
    role = training_role(session.settings).read(session.call)
    return replace(job, role=role.attributes["arn"]) if role else job


def run(
    session: Session, backend: Backend, job: JobRequest, *, show_log: bool = True, uses_stage: bool = True
) -> JobResult:
    """Starts a job, or finds the one that runs, and follows it; an interrupted job resumes on another machine.

    Before the start it shows the stage and the cost, unless the job does not use the stage (`uses_stage`).
    """
    job, state = backend.find_attempt(job)
    say = session.screen.say
    listener = Listener(screen=session.screen, show_log=show_log, progress=Progress(epochs=_epochs(job)))
    if state is not None:
        say(reused(job.name, state.status))
    reader: Reader | None = None
    for launch in range(1, LAUNCHES + 1):
        if state is None:
            if uses_stage:
                session.begin_changes()
                preflight.training(session, job)
            backend.start(job)
            say(f"   {job.name}: {job.instance_count} × {job.instance_type}")
        reader = reader or backend.reader(job.name)
        try:
            return follow(
                job.name,
                backend,
                clock=session.clock,
                reader=reader,
                on_line=listener.line,
                on_status=lambda status, message: say(f"   {status}{': ' if message else ''}{message}"),
            )
        except InterruptedJobError as error:
            if launch == LAUNCHES:
                raise
            say(f"   {error}: the job resumes from its checkpoint on another machine")
            state = None
    raise JobError(f"training job {job.name}: interrupted {LAUNCHES} times")


def train_locally(
    session: Session,
    local: LocalPaths,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    show_log: bool = True,
) -> JobResult:
    """Trains in a container on this machine, then registers the model with the stage if the stage answers."""
    job = local_request(session, local, name, purpose=purpose, overrides=overrides)
    backend = LocalBackend(runs=local.runs, sources=local.sources, say=session.screen.say)
    try:
        result = run(session, backend, job, show_log=show_log, uses_stage=False)
    except KeyboardInterrupt:
        session.screen.say("   stopping; the job writes a checkpoint, and the same command resumes from it")
        backend.stop(job.name)
        raise
    try:
        return register(session, backend, result)
    except DeployError as error:
        session.screen.say(f"   not registered with stage {session.settings.stage_name}: {error}")
        return result


def local_request(
    session: Session,
    local: LocalPaths,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
) -> JobRequest:
    """The job that trains on this machine, on its own pictures. Raises DataError."""
    content = {file: pictures.digest(path) for file, path in pictures.files(local.sources["training"]).items()}
    image = session.build("train")
    return jobs.request(
        session.settings,
        image=image,
        image_tag=image.rpartition(":")[2],
        data=str(local.sources["training"]),
        data_hash=pictures.describe(content, bucket=session.settings.bucket, prefix=data_prefix(name)).hash,
        weights=str(local.sources.get("weights", "")),
        purpose=purpose,
        overrides=overrides,
        instance_type="local",
        instance_count=1,
    )


def register(session: Session, backend: LocalBackend, result: JobResult) -> JobResult:
    """Uploads a locally trained model to the stage's bucket, so that `deploy` serves it like any other model."""
    bucket_name, name = session.settings.bucket, result.name
    existing = records.read(bucket_name, name, session.call)
    uri = f"s3://{bucket_name}/jobs/{name}/output"
    registered = replace(result, artifact=f"{uri}/model.tar.gz", reports=f"{uri}/output.tar.gz")
    if existing is not None:
        return registered
    session.settle((bucket(session.settings),))
    folder = backend.folder(name) / "output"
    for file in ("output.tar.gz", "model.tar.gz"):
        upload(session.call, bucket=bucket_name, key=f"jobs/{name}/output/{file}", path=folder / file)
    job = backend.describe(name) or TrainingJob(name=name, status=result.status)
    session.call(records.put(bucket_name, replace(job, artifact=registered.artifact)))
    session.screen.say(f"   registered: {registered.artifact}")
    return registered


def stop(session: Session, *, purpose: str = "train") -> str:
    """Stops the newest running job of a training, on SageMaker or EC2; returns its name. Raises JobError."""
    settings, call = session.settings, session.call
    prefix = f"{settings.prefix}-{purpose}-"
    running = pages(call, newest_first(prefix, "InProgress"), items="TrainingJobSummaries")
    listed = next((name for each in running if is_of(prefix, name := str(each["TrainingJobName"]))), "")
    recorded = records.newest(settings.bucket, prefix, call, status="InProgress")
    if listed:
        backend: Backend = SageMakerBackend(call=call)
        name = listed
    elif recorded:
        backend, name = Ec2Backend(session=session), recorded.name
    else:
        raise JobError(f"{settings.prefix}: no training called {purpose} is running; ./inv status shows the jobs")
    session.begin_changes()
    backend.stop(name)
    return name


def job_request(
    session: Session,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    instances: int | None = None,
    on: str = "sagemaker",
) -> JobRequest:
    """The job that trains on the pictures pushed as `name`. Raises DataError without such pictures."""
    settings = session.settings
    bucket_name = settings.bucket
    try:
        content = pictures.listing(session.call, bucket=bucket_name, prefix=data_prefix(name))
        weights = pictures.listing(session.call, bucket=bucket_name, prefix=WEIGHTS)
    except DeployError as error:
        if "NoSuchBucket" not in str(error):
            raise
        content, weights = {}, {}
    if not content:
        raise DataError(f"s3://{bucket_name}/{data_prefix(name)}: no pictures yet; run ./inv data --source {name}")
    pushed = pictures.describe(content, bucket=bucket_name, prefix=data_prefix(name))
    image = session.image("train")
    return jobs.request(
        settings,
        image=image.uri,
        image_tag=image.tag,
        data=pushed.uri,
        data_hash=pushed.hash,
        weights=f"s3://{bucket_name}/{WEIGHTS}" if weights else "",
        purpose=purpose,
        overrides=overrides,
        instance_type=settings.training.ec2.instance_type if on == "ec2" else "",
        instance_count=instances or (1 if on == "ec2" else None),
    )


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Shows a job's lines: all of them, or only the metrics of each epoch, with the time left."""

    screen: Screen
    show_log: bool
    progress: Progress = field(default_factory=Progress)

    def line(self, line: Line) -> None:
        values = metrics.parse(line.text)
        if values:
            self.screen.say(f"   {self.progress.update(values[0], line.when / 1000)}")
        elif self.show_log:
            self.screen.say(f"   {line.host} │ {line.text}")


def _epochs(job: JobRequest) -> int:
    text = job.hyperparameters.get("epochs", "")
    return int(text) if text.isdigit() else 0
