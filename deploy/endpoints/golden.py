"""Golden pictures from training time: fetched from a job's output, and asked of an endpoint after its update."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Sequence
from typing import Any

from contract import golden
from contract.golden import Golden, GoldenError
from deploy.aws.client import lookup
from deploy.aws.requests import s3
from deploy.errors import AwsError, DeployError
from deploy.values import Call

MODEL, OUTPUT = "model.tar.gz", "output.tar.gz"
Answer = Callable[[Golden], Any]


def fetch(artifact: str, call: Call) -> tuple[Golden, ...]:
    """The golden pictures that the job of an artifact (the S3 URI of its model.tar.gz) left beside its report; none of
    a job of before there were any. Raises DeployError for some that cannot be read."""
    uri = artifact.removesuffix(MODEL) + OUTPUT
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    answer = lookup(call, s3("GetObject", Bucket=bucket, Key=key))
    if answer is None:
        return ()
    try:
        return unpack(answer["Body"].read(), where=uri)
    except (tarfile.TarError, OSError, EOFError, GoldenError) as error:
        raise DeployError(f"{uri}: its golden pictures cannot be read: {error}") from error


def unpack(archive: bytes, *, where: str) -> tuple[Golden, ...]:
    """The golden pictures in an output.tar.gz."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            if member.name.rpartition("/")[2] == golden.FILE and (stream := tar.extractfile(member)):
                return golden.loads(stream.read(), where=f"{where}:{golden.FILE}")
    return ()


def disagreements(pictures: Sequence[Golden], answer: Answer, tolerance: float | None) -> tuple[str, ...]:
    """What is wrong with the answers to them, a line each; without a `tolerance` each picture tells its own.

    An answer is a list of lists of probabilities."""
    return tuple(wrong for each in pictures if (wrong := _wrong(each, answer, tolerance)))


def _wrong(picture: Golden, answer: Answer, tolerance: float | None) -> str:
    """A model that fails on a golden picture is as wrong as one that answers it otherwise."""
    try:
        said = answer(picture)
    except AwsError as error:
        if error.code != "ModelError":
            raise
        return f"the golden picture of {picture.label}: {error.message}"
    return golden.disagreement(picture, _row(said), tolerance)


def _row(answer: Any) -> list[float]:
    try:
        return [float(value) for value in answer[0]]
    except (TypeError, ValueError, KeyError, IndexError):
        return []
