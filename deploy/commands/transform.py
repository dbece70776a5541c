"""transform: the model's answers for every picture of a folder or prefix, without an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.aws.client import pages
from deploy.aws.logs import LogReader
from deploy.aws.requests import s3
from deploy.endpoints.artifacts import trained
from deploy.endpoints.model import Model, model
from deploy.endpoints.spec import EndpointSpec, endpoint_spec
from deploy.errors import AwsError, DataError, DeployError, JobError
from deploy.jobs import transform as jobs
from deploy.jobs.transform import Answer, Pictures
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.storage import dataset
from deploy.values import content_hash

LOG_GROUP = "/aws/sagemaker/TransformJobs"
ATTEMPTS = 50
EVERY_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Transformed:
    """A job's answers. `missing` are the pictures without one, `reason` says why the job failed."""

    name: str
    answers: tuple[Answer, ...]
    missing: tuple[str, ...] = ()
    reason: str = ""


def transform(session: Session, source: str, *, endpoint: str = "", instances: int = 1) -> Transformed:
    """Asks the model that an endpoint serves (the main one when not named) about every picture, and follows to the end.

    `source` is a folder of this machine or an S3 prefix. What was asked already is not asked again. Raises DataError,
    DeployError.
    """
    settings = session.settings
    spec = endpoint_spec(settings, endpoint)
    if instances < 1:
        raise DataError(f"--instances: {instances}: 1 or more")
    local = None if source.startswith("s3://") else local_pictures(Path(source))
    made = _model(session, spec)
    session.settle((*foundation(settings), made))
    pictures = _pushed(session, Path(source), local) if local is not None else listed(session, source)
    job, found = _attempt(session, jobs.name_of(settings, made.name, pictures))
    if found is None:
        session.begin_changes()
        kind = spec.section.instance_type
        session.call(
            jobs.create(
                settings, name=job, model=made.name, pictures=pictures, instance_type=kind, instance_count=instances
            )
        )
        session.screen.say(f"   {job}: {len(pictures.sizes)} pictures on {instances} × {kind}")
    else:
        session.screen.say(f"   {job}: {str(found['TransformJobStatus']).lower()}, taken up again")
    ended = _follow(session, job)
    answers, missing = jobs.answers(settings, job, pictures.sizes, session.call)
    told = "" if ended["TransformJobStatus"] == "Completed" else _told(session, job)
    return concluded(ended, Transformed(name=job, answers=answers, missing=tuple(missing)), told)


def concluded(ended: Mapping[str, Any], found: Transformed, told: str) -> Transformed:
    """What came of a job that has ended, with the reason for what is missing; `told` is its data log's last lines.

    Raises JobError for a job that was stopped, or answered nothing.
    """
    status = ended["TransformJobStatus"]
    if status == "Completed":
        return found
    reason = f"{ended.get('FailureReason') or 'it was stopped'}\n{told}".strip()
    if status == "Stopped" or not found.answers:
        raise JobError(f"transform job {found.name}: {status}: {reason}")
    return replace(found, reason=reason)


def local_pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder, or the one that a file is, by their paths below it. Raises DataError."""
    if folder.is_file():
        return {folder.name: folder}
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix.lower() in dataset.SUFFIXES
    }
    if not found:
        raise DataError(f"{folder}: holds no pictures ({', '.join(sorted(dataset.SUFFIXES))})")
    return found


def listed(session: Session, source: str) -> Pictures:
    """The pictures below a prefix of the stage's bucket. Raises DataError for any other, and for what is no picture."""
    home = f"s3://{session.settings.bucket}/{jobs.FOLDER}/"
    uri = source if source.endswith("/") else f"{source}/"
    if not uri.startswith(home):
        raise DataError(
            f"{source}: the endpoint's role reads {home} only; copy them there "
            f"(aws s3 cp --recursive {source} {home}in/NAME/), or give a folder of this machine"
        )
    params = {"Bucket": session.settings.bucket, "Prefix": uri.removeprefix(f"s3://{session.settings.bucket}/")}
    request = s3("ListObjectsV2", **params)
    found = list(pages(session.call, request, items="Contents", token=("NextContinuationToken", "ContinuationToken")))
    prefix = params["Prefix"]
    below = {each["Key"].removeprefix(prefix): each for each in found if not each["Key"].endswith("/")}
    other = [name for name in below if Path(name).suffix.lower() not in dataset.SUFFIXES]
    if other or not below:
        what = f"{other[0]} is no picture" if other else "no object lies there"
        raise DataError(f"{source}: {what}; a prefix of pictures only is needed")
    key = content_hash(sorted((name, each["ETag"]) for name, each in below.items()))
    return Pictures(uri=uri, sizes={name: each["Size"] for name, each in below.items()}, hash=key)


def _model(session: Session, spec: EndpointSpec) -> Model:
    found = trained(session.settings, [spec], session.call)
    if spec.name in found.missing:
        raise DeployError(f"{spec.name}: {found.missing[spec.name]}")
    artifact = next(iter(found.artifacts[spec.name].values()))
    return model(spec, image=session.image("serve").uri, artifact=artifact)


def _pushed(session: Session, folder: Path, local: Mapping[str, Path]) -> Pictures:
    """The folder's pictures in the bucket, where the endpoint's role may read them."""
    settings = session.settings
    prefix = f"{jobs.FOLDER}/in/{content_hash(str(folder.resolve()))}/"
    session.begin_changes()
    with session.screen.bar("pictures", is_bytes=True) as progress:
        pushed = dataset.push(local, session.call, bucket=settings.bucket, prefix=prefix, progress=progress)
    return Pictures(uri=pushed.uri, sizes={name: path.stat().st_size for name, path in local.items()}, hash=pushed.hash)


def _attempt(session: Session, base: str) -> tuple[str, Mapping[str, Any] | None]:
    """The job to take up: one that runs or is done, else a new name: one can be used once only."""
    for number in range(1, ATTEMPTS):
        name = base if number == 1 else f"{base}-{number}"
        found = jobs.describe(name, session.call)
        if found is None or found["TransformJobStatus"] in ("InProgress", "Completed"):
            return name, found
    raise JobError(f"transform job {base}: {ATTEMPTS} attempts have failed; mend the cause before trying again")


def _follow(session: Session, name: str) -> Mapping[str, Any]:
    last = ""
    while True:
        found = jobs.describe(name, session.call)
        if found is None:
            raise JobError(f"transform job {name}: is not there")
        status = str(found["TransformJobStatus"])
        if status != last:
            session.screen.say(f"   {name}: {status}")
            last = status
        if status in jobs.ENDED:
            return found
        session.clock.sleep(EVERY_S)


def _told(session: Session, name: str) -> str:
    """What the job's data log says of single pictures: its last lines."""
    reader = LogReader(call=session.call, group=LOG_GROUP, prefix=f"{name}/")
    try:
        lines = [line.text for line in reader.read() if line.host.endswith("data-log")]
    except AwsError:
        return ""
    return "\n".join(lines[-5:])
