"""Batch transform: its request, its input pictures, and its answers (rule 43)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.aws.client import lookup
from deploy.aws.requests import s3, sagemaker
from deploy.aws.tags import tag_list
from deploy.config.settings import Settings
from deploy.errors import DataError
from deploy.jobs.lifecycle import JobStatus
from deploy.storage.objects import objects
from deploy.values import Call, Request, content_hash

FOLDER = "transform"  # of the bucket, which the endpoint's role may read and write
MIB = 1024**2
DEFAULT_MB, LARGEST_MB = 6, 100
CONCURRENCY = 12  # one batch of 8 computes while the next fills: 79 pictures a second on 2 cores, 73 with 4
TIMEOUT_S, RETRIES = 600, 3
MEDIA_TYPE = "application/octet-stream"  # a prefix may mix JPEG and PNG: the server detects which
HEADINGS = ("picture", "label", "probability")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A job's input: an S3 prefix (a URI ending in "/"), each picture's size by its path below, and a content hash."""

    uri: str
    sizes: Mapping[str, int]
    hash: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The model's answer for one picture; `predictions` are (label, probability), the most likely first."""

    picture: str
    predictions: tuple[tuple[str, float], ...]


def name_of(settings: Settings, model: str, pictures: Pictures) -> str:
    """A job's name, a hash of the model and the pictures, so that the same job does not run twice."""
    return f"{settings.prefix}-transform-{content_hash(model, pictures.uri, pictures.hash, length=8)}"


def create(
    settings: Settings, *, name: str, model: str, pictures: Pictures, instance_type: str, instance_count: int
) -> Request:
    """The CreateTransformJob request. Raises DataError for a picture that is too large."""
    payload = payload_mb(pictures)
    params = {
        "TransformJobName": name,
        "ModelName": model,
        "MaxPayloadInMB": payload,
        "MaxConcurrentTransforms": max(1, min(CONCURRENCY, LARGEST_MB // payload)),
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": TIMEOUT_S, "InvocationsMaxRetries": RETRIES},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": pictures.uri}},
            "ContentType": MEDIA_TYPE,
            "SplitType": "None",
        },
        "TransformOutput": {"S3OutputPath": output(settings, name), "Accept": "application/json"},
        "TransformResources": {"InstanceType": instance_type, "InstanceCount": instance_count},
        "Tags": tag_list(settings.tags),
    }
    return sagemaker("CreateTransformJob", **params)


def output(settings: Settings, name: str) -> str:
    """The S3 URI that a job writes its answers to."""
    return f"s3://{settings.bucket}/{FOLDER}/out/{name}/"


def payload_mb(pictures: Pictures) -> int:
    """MaxPayloadInMB for the largest picture. Raises DataError above SageMaker's limit."""
    largest = max(pictures.sizes, key=lambda name: pictures.sizes[name])
    needed = math.ceil(pictures.sizes[largest] / MIB)
    if needed > LARGEST_MB:
        raise DataError(f"{largest}: {needed} MB, but batch transform takes {LARGEST_MB}; use a smaller picture")
    return max(DEFAULT_MB, needed)


def describe(name: str, call: Call) -> JobStatus | None:
    """The state of a transform job; None when it does not exist."""
    answer = lookup(call, sagemaker("DescribeTransformJob", TransformJobName=name))
    if answer is None:
        return None
    return JobStatus(status=str(answer["TransformJobStatus"]), failure_reason=str(answer.get("FailureReason", "")))


def stop(name: str) -> Request:
    return sagemaker("StopTransformJob", TransformJobName=name)


def answers(settings: Settings, name: str, pictures: Iterable[str], call: Call) -> tuple[tuple[Answer, ...], list[str]]:
    """A job's answers, sorted by picture, and the pictures without an answer."""
    parsed, missing = [], []
    prefix = output(settings, name).removeprefix(f"s3://{settings.bucket}/")
    written = {each["Key"].removeprefix(prefix) for each in objects(call, bucket=settings.bucket, prefix=prefix)}
    for picture in sorted(pictures):
        if f"{picture}.out" not in written:
            missing.append(picture)
            continue
        text = call(s3("GetObject", Bucket=settings.bucket, Key=f"{prefix}{picture}.out"))["Body"].read()
        parsed.append(answer(picture, text))
    return tuple(parsed), missing


def answer(picture: str, text: bytes) -> Answer:
    """Parses the server's JSON answer to one picture."""
    top = json.loads(text)["predictions"][0]["top"]
    return Answer(picture=picture, predictions=tuple((each["label"], float(each["probability"])) for each in top))


def table(answers: Sequence[Answer]) -> list[tuple[str, ...]]:
    """The rows under HEADINGS."""
    return [(each.picture, each.predictions[0][0], f"{each.predictions[0][1]:.4f}") for each in answers]


def as_csv(answers: Sequence[Answer]) -> str:
    """Every answer with all its labels, in the columns picture,label,probability,label_2,probability_2,…"""
    most = max((len(each.predictions) for each in answers), default=1)
    names = [f"{name}{f'_{rank}' if rank > 1 else ''}" for rank in range(1, most + 1) for name in HEADINGS[1:]]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([HEADINGS[0], *names])
    for each in answers:
        writer.writerow([each.picture, *(value for pair in each.predictions for value in pair)])
    return stream.getvalue()
