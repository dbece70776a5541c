"""data: pushes pictures and a weights file to the stage's bucket."""

from __future__ import annotations

from pathlib import Path

from deploy.aws.requests import s3
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.storage import dataset as pictures

WEIGHTS = "weights/"


def push(session: Session, source: Path, name: str, *, weights: Path | None = None) -> pictures.Pushed:
    """Pushes pictures (and a weights file) to the stage's bucket, after creating the bucket. Raises DataError."""
    files = pictures.files(source)
    session.settle(foundation(session.settings))
    bucket, screen = session.settings.bucket, session.screen
    with screen.bar("pictures", is_bytes=True) as progress:
        pushed = pictures.push(files, session.call, bucket=bucket, prefix=data_prefix(name), progress=progress)
    screen.say(f"   {pushed.uri}: {pushed.count} files, content {pushed.hash}")
    if weights is not None:
        push_weights(session, weights)
    return pushed


def push_weights(session: Session, path: Path) -> None:
    """A weights file into the stage's bucket, which must be there."""
    bucket, screen = session.settings.bucket, session.screen
    with screen.bar("weights", is_bytes=True) as progress:
        pictures.push({path.name: path}, session.call, bucket=bucket, prefix=WEIGHTS, progress=progress)
    screen.say(f"   s3://{bucket}/{WEIGHTS}{path.name}")


def fetch(session: Session, uri: str, target: Path) -> Path:
    """Downloads an S3 object to a file; returns its path."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    answer = session.call(s3("GetObject", Bucket=bucket, Key=key))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(answer["Body"].read())
    return target


def data_prefix(name: str) -> str:
    return f"data/{name}/"
