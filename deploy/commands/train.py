"""train: a job on pushed pictures, followed to its end; what is trained already is not trained again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from contract import metrics
from deploy.aws.logs import Line
from deploy.aws.requests import sagemaker
from deploy.aws.s3_upload import upload
from deploy.commands.data import WEIGHTS, data_prefix
from deploy.config.section import Scalar, unknown
from deploy.config.settings import Settings
from deploy.config.training import Backend as Place
from deploy.console import Screen
from deploy.costs import preflight
from deploy.errors import DataError, DeployError, JobError, SettingsError
from deploy.iam.role import training_role
from deploy.jobs import records
from deploy.jobs import request as jobs
from deploy.jobs.backend import Backend, InterruptedJobError, Reader, follow
from deploy.jobs.ec2 import Ec2
from deploy.jobs.local import Here
from deploy.jobs.progress import Pace
from deploy.jobs.request import JobRequest, JobResult
from deploy.jobs.sagemaker import SageMaker
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.storage import dataset as pictures
from deploy.storage.bucket import bucket

LAUNCHES = 20
MOST_HOSTS = 100
NAME = r"(?=.{1,20}$)[a-z0-9](-?[a-z0-9])*"


@dataclass(frozen=True, kw_only=True)
class Local:
    """What training here works with: where runs are kept, and the files of each channel (training, weights)."""

    runs: Path
    sources: Mapping[str, Path]


def checked(settings: Settings, *, on: str = "", name: str = "train", instances: int = 0) -> str:
    """Where to train. Raises SettingsError for a place, a name or a number of hosts that there is not."""
    where = on or settings.training.on
    if where not in get_args(Place):
        raise SettingsError(f"--on: {unknown(where, get_args(Place))}")
    if not re.fullmatch(NAME, name):
        raise SettingsError(f"--name: {name!r}: lower-case letters, digits and single hyphens, at most 20")
    if not 0 <= instances <= MOST_HOSTS:
        raise SettingsError(f"--instances: {instances}: from 1 to {MOST_HOSTS}")
    if where != "sagemaker" and instances > 1:
        raise SettingsError(
            f"--instances: {instances}: {where} is one machine, with all of its GPUs; choose a larger one, "
            "or --on sagemaker"
        )
    return where


def left_running(where: str) -> str:
    """What Ctrl-C leaves."""
    if where == "local":
        return "stopped; the same command goes on from its checkpoint"
    return "the job goes on without you: the same command follows it again, with --stop it is stopped"


def train(
    session: Session,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    instances: int | None = None,
    on: str = "",
    local: Local | None = None,
    verbose: bool = True,
) -> JobResult:
    """Trains on pushed pictures, or finds it done. `on` goes before training.on; `local` is what local training needs.

    Raises DataError, JobError.
    """
    where = on or session.settings.training.on
    if where == "local":
        if local is None:
            raise JobError(
                "training here: no pictures of this machine are given; ./inv train --on local --source FOLDER"
            )
        return train_here(session, local, name, purpose=purpose, overrides=overrides, verbose=verbose)
    job = job_request(session, name, purpose=purpose, overrides=overrides, instances=instances, on=where)
    session.settle(foundation(session.settings))
    if where == "ec2":
        return run(session, Ec2(session=session), job, verbose=verbose)
    role = training_role(session.settings).read(session.call)
    arn = role.attributes["arn"] if role else job.role
    return run(session, SageMaker(call=session.call), replace(job, role=arn), verbose=verbose)


def run(
    session: Session, backend: Backend, job: JobRequest, *, verbose: bool = True, uses_stage: bool = True
) -> JobResult:
    """Takes a job up or begins it, and follows it; where its machine is taken away it goes on on another.

    Before it begins it is said where, and for what it costs, unless the stage has no part in it (`uses_stage`).
    """
    job, found = backend.take_up(job)
    say = session.screen.say
    listener = Listener(screen=session.screen, verbose=verbose, pace=Pace(epochs=_epochs(job)))
    if found is not None:
        say(f"   {job.name}: {str(found['TrainingJobStatus']).lower()}, taken up again")
    reader: Reader | None = None
    for launch in range(1, LAUNCHES + 1):
        if found is None:
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
                line=listener.line,
                status=lambda status, message: say(f"   {status}{': ' if message else ''}{message}"),
            )
        except InterruptedJobError as error:
            if launch == LAUNCHES:
                raise
            say(f"   {error}: it goes on from its checkpoint on another")
            found = None
    raise JobError(f"training job {job.name}: interrupted {LAUNCHES} times")


def train_here(
    session: Session,
    local: Local,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
    verbose: bool = True,
) -> JobResult:
    """Trains in a container of this box, and registers what came of it with the stage, if that answers."""
    job = here_request(session, local, name, purpose=purpose, overrides=overrides)
    place = Here(runs=local.runs, sources=local.sources, say=session.screen.say)
    try:
        result = run(session, place, job, verbose=verbose, uses_stage=False)
    except KeyboardInterrupt:
        session.screen.say("   stopping: its checkpoint is written, and the same command goes on from there")
        place.stop(job.name)
        raise
    try:
        return register(session, place, result)
    except DeployError as error:
        session.screen.say(f"   not registered with stage {session.settings.stage_name}: {error}")
        return result


def here_request(
    session: Session,
    local: Local,
    name: str,
    *,
    purpose: str = "train",
    overrides: Mapping[str, Scalar] | None = None,
) -> JobRequest:
    """The job that trains here, on pictures of this machine. Raises DataError."""
    content = {file: pictures.digest(path) for file, path in pictures.files(local.sources["training"]).items()}
    return jobs.request(
        session.settings,
        image=session.build("train"),
        image_tag=session.build("train").rpartition(":")[2],
        data=str(local.sources["training"]),
        data_hash=pictures.describe(content, bucket=session.settings.bucket, prefix=data_prefix(name)).hash,
        weights=str(local.sources.get("weights", "")),
        purpose=purpose,
        overrides=overrides,
        instance_type="local",
        instance_count=1,
    )


def register(session: Session, here: Here, result: JobResult) -> JobResult:
    """Uploads what was trained here to the stage's bucket, so that `deploy` serves it like any other."""
    bucket_name, name = session.settings.bucket, result.name
    there = records.read(bucket_name, name, session.call)
    uri = f"s3://{bucket_name}/jobs/{name}/output"
    registered = replace(result, artifact=f"{uri}/model.tar.gz", reports=f"{uri}/output.tar.gz")
    if there is not None:
        return registered
    session.settle((bucket(session.settings),))
    folder = here.folder(name) / "output"
    for file in ("output.tar.gz", "model.tar.gz"):
        upload(session.call, bucket=bucket_name, key=f"jobs/{name}/output/{file}", path=folder / file)
    told = {**(here.describe(name) or {}), "ModelArtifacts": {"S3ModelArtifacts": registered.artifact}}
    session.call(records.put(bucket_name, told))
    session.screen.say(f"   registered: {registered.artifact}")
    return registered


def stop(session: Session, *, purpose: str = "train") -> str:
    """Stops the newest running job of a training, wherever it runs; returns its name. Raises JobError."""
    settings, call = session.settings, session.call
    prefix = f"{settings.prefix}-{purpose}-"
    params = {"NameContains": prefix, "StatusEquals": "InProgress", "SortBy": "CreationTime", "SortOrder": "Descending"}
    listed = call(sagemaker("ListTrainingJobs", **params))["TrainingJobSummaries"]
    elsewhere = records.newest(settings.bucket, prefix, call, status="InProgress")
    if not listed and elsewhere is None:
        raise JobError(f"{settings.prefix}: no training called {purpose} runs; ./inv status shows the jobs")
    session.begin_changes()
    backend: Backend = SageMaker(call=call) if listed else Ec2(session=session)
    name = str(listed[0]["TrainingJobName"] if listed else (elsewhere or {})["TrainingJobName"])
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
    """The job that trains on the pictures pushed as `name`. Raises DataError when none are there."""
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
        where = f"s3://{bucket_name}/{data_prefix(name)}"
        raise DataError(f"{where}: no pictures there yet; run ./inv data --source {name}")
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
    """Shows a job's lines: all of them, or only the metric line of each epoch, with the time that is left."""

    screen: Screen
    verbose: bool
    pace: Pace = field(default_factory=Pace)

    def line(self, line: Line) -> None:
        found = metrics.parse(line.text)
        if found:
            self.screen.say(f"   {self.pace.hear(found[0], line.when / 1000)}")
        elif self.verbose:
            self.screen.say(f"   {line.host} │ {line.text}")


def _epochs(job: JobRequest) -> int:
    text = job.hyperparameters.get("epochs", "")
    return int(text) if text.isdigit() else 0
