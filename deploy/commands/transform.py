"""transform: asks a model about every picture of a folder or prefix, without an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from deploy.aws.logs import LogReader
from deploy.costs import quotas
from deploy.endpoints.artifacts import trained
from deploy.endpoints.model import Model, model
from deploy.endpoints.spec import EndpointSpec, endpoint_spec
from deploy.errors import AwsError, DataError, DeployError, JobError
from deploy.jobs import transform as jobs
from deploy.jobs.lifecycle import JobStatus, find_attempt, poll, reused
from deploy.jobs.transform import Answer, Pictures
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.storage import dataset
from deploy.storage.objects import objects
from deploy.values import content_hash

LOG_GROUP = "/aws/sagemaker/TransformJobs"
ATTEMPTS = 50
EVERY_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Transformed:
    """A job's answers. `missing` are the pictures without an answer, `reason` is why the job failed."""

    name: str
    answers: tuple[Answer, ...]
    missing: tuple[str, ...] = ()
    reason: str = ""


def transform(session: Session, source: str, *, endpoint: str = "", instances: int = 1) -> Transformed:
    """Runs the model of an endpoint (by default main) on every picture, and follows the job to its end.

    `source` is a local folder or an S3 prefix. A job with the same model and pictures does not run twice. Raises
    DataError, DeployError.
    """
    settings = session.settings
    spec = endpoint_spec(settings, endpoint)
    if instances < 1:
        raise DataError(f"--instances: {instances}: choose 1 or more")
    local = None if source.startswith("s3://") else local_pictures(Path(source))
    made = _model(session, spec)
    session.settle((*foundation(settings), made))
    pictures = _pushed(session, Path(source), local) if local is not None else pictures_below(session, source)
    job, state = find_attempt(
        "transform job",
        jobs.name_of(settings, made.name, pictures),
        partial(jobs.describe, call=session.call),
        reusable=lambda each: each.status in ("InProgress", "Completed"),
        attempts=ATTEMPTS,
    )
    if state is None:
        session.begin_changes()
        machine = spec.section.instance_type
        quotas.require_all(session.call, [quotas.transforming(machine, instances, why="--instances")])
        request = jobs.create(
            settings, name=job, model=made.name, pictures=pictures, instance_type=machine, instance_count=instances
        )
        session.call(request)
        session.screen.say(f"   {job}: {len(pictures.sizes)} pictures on {instances} × {machine}")
    else:
        session.screen.say(reused(job, state.status))
    ended = _follow(session, job)
    answers, missing = jobs.answers(settings, job, pictures.sizes, session.call)
    log = "" if ended.status == "Completed" else _log_end(session, job)
    return concluded(ended, Transformed(name=job, answers=answers, missing=tuple(missing)), log)


def concluded(job: JobStatus, result: Transformed, log: str) -> Transformed:
    """The result of a job that has ended, with the reason for missing answers; `log` is the end of its data log.

    Raises JobError for a job that was stopped, or gave no answer at all.
    """
    if job.status == "Completed":
        return result
    reason = f"{job.failure_reason or 'it was stopped'}\n{log}".strip()
    if job.status == "Stopped" or not result.answers:
        raise JobError(f"transform job {result.name}: {job.status}: {reason}")
    return replace(result, reason=reason)


def local_pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their paths below it; of a file, the file itself. Raises DataError."""
    if folder.is_file():
        return {folder.name: folder}
    pictures = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix.lower() in dataset.SUFFIXES
    }
    if not pictures:
        raise DataError(f"{folder}: holds no pictures ({', '.join(sorted(dataset.SUFFIXES))})")
    return pictures


def pictures_below(session: Session, source: str) -> Pictures:
    """The pictures below a prefix of the stage's bucket. Raises DataError for another bucket, and for other files."""
    readable = f"s3://{session.settings.bucket}/{jobs.FOLDER}/"
    uri = source if source.endswith("/") else f"{source}/"
    if not uri.startswith(readable):
        raise DataError(
            f"{source}: the endpoint's role may read {readable} only; copy the pictures there "
            f"(aws s3 cp --recursive {source} {readable}in/NAME/), or give a local folder"
        )
    bucket, prefix = session.settings.bucket, uri.removeprefix(f"s3://{session.settings.bucket}/")
    listed = objects(session.call, bucket=bucket, prefix=prefix)
    below = {each["Key"].removeprefix(prefix): each for each in listed if not each["Key"].endswith("/")}
    other = [name for name in below if Path(name).suffix.lower() not in dataset.SUFFIXES]
    if other or not below:
        problem = f"{other[0]} is not a picture" if other else "holds no objects"
        raise DataError(f"{source}: {problem}; give a prefix that holds pictures only")
    key = content_hash(sorted((name, each["ETag"]) for name, each in below.items()))
    return Pictures(uri=uri, sizes={name: each["Size"] for name, each in below.items()}, hash=key)


def _model(session: Session, spec: EndpointSpec) -> Model:
    models = trained(session.settings, [spec], session.call)
    if spec.name in models.missing:
        raise DeployError(f"{spec.name}: {models.missing[spec.name]}")
    artifact = next(iter(models.artifacts[spec.name].values()))
    return model(spec, image=session.image("serve").uri, artifact=artifact)


def _pushed(session: Session, folder: Path, local: Mapping[str, Path]) -> Pictures:
    """Uploads the folder's pictures to the bucket, where the endpoint's role may read them."""
    settings = session.settings
    prefix = f"{jobs.FOLDER}/in/{content_hash(str(folder.resolve()))}/"
    session.begin_changes()
    with session.screen.bar("pictures", is_bytes=True) as progress:
        pushed = dataset.push(local, session.call, bucket=settings.bucket, prefix=prefix, progress=progress)
    return Pictures(uri=pushed.uri, sizes={name: path.stat().st_size for name, path in local.items()}, hash=pushed.hash)


def _follow(session: Session, name: str) -> JobStatus:
    """Follows the job to its end and shows each new status."""
    shown = ""
    for job in poll(
        "transform job", name, partial(jobs.describe, call=session.call), clock=session.clock, every=EVERY_S
    ):
        if job.status != shown:
            session.screen.say(f"   {name}: {job.status}")
            shown = job.status
    return job


def _log_end(session: Session, name: str) -> str:
    """The last lines of the job's data log, which name the pictures that failed."""
    reader = LogReader(call=session.call, group=LOG_GROUP, prefix=f"{name}/")
    try:
        lines = [line.text for line in reader.read() if line.host.endswith("data-log")]
    except AwsError:
        return ""
    return "\n".join(lines[-5:])
