"""Golden pictures of a training job: read from its output, then sent to an endpoint after its update.

An endpoint must answer each picture as the model did in training.
"""

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
    """The golden pictures that a job stored beside its report. `artifact` is the S3 URI of its model.tar.gz.

    Empty for a job that stored none. Raises DeployError for a file that cannot be read."""
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
    """A line for each picture whose answer differs from training. Without a `tolerance` each picture's own counts.

    `answer` returns a list of lists of probabilities."""
    return tuple(line for each in pictures if (line := _disagreement(each, answer, tolerance)))


def _disagreement(picture: Golden, answer: Answer, tolerance: float | None) -> str:
    """A model that fails on a golden picture counts as one that answers it differently."""
    try:
        probabilities = answer(picture)
    except AwsError as error:
        if error.code != "ModelError":
            raise
        return f"the golden picture of {picture.label}: {error.message}"
    return golden.disagreement(picture, _row(probabilities), tolerance)


def _row(answer: Any) -> list[float]:
    try:
        return [float(value) for value in answer[0]]
    except (TypeError, ValueError, KeyError, IndexError):
        return []
