"""Batch transform as values: the request, the pictures that go in, the answers that come out (rule 43)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import s3, sagemaker
from deploy.aws.tags import tag_list
from deploy.config.settings import Settings
from deploy.errors import DataError
from deploy.values import Call, Request, content_hash

FOLDER = "transform"  # of the bucket: what the endpoint's role may read and write
MIB = 1024**2
DEFAULT_MB, LARGEST_MB = 6, 100
CONCURRENCY = 12  # a full batch of 8 waits while another is computed: 79 pictures a second on 2 cores, not 73 of 4
TIMEOUT_S, RETRIES = 600, 3
ENDED = ("Completed", "Failed", "Stopped")
MEDIA_TYPE = "application/octet-stream"  # a prefix may mix JPEG and PNG: the server looks for itself
HEADINGS = ("picture", "label", "probability")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What is to be answered: an S3 prefix (URI, ending in "/") and the size of each object below it, by its path."""

    uri: str
    sizes: Mapping[str, int]
    hash: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says of one picture; `predictions` are (label, probability), the likeliest first."""

    picture: str
    predictions: tuple[tuple[str, float], ...]


def name_of(settings: Settings, model: str, pictures: Pictures) -> str:
    """A job's name: from the model and the pictures, so that the same is not asked twice."""
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
    """Where a job's answers lie (an S3 URI)."""
    return f"s3://{settings.bucket}/{FOLDER}/out/{name}/"


def payload_mb(pictures: Pictures) -> int:
    """The payload that the largest picture needs. Raises DataError above what SageMaker sends."""
    largest = max(pictures.sizes, key=lambda name: pictures.sizes[name])
    needed = math.ceil(pictures.sizes[largest] / MIB)
    if needed > LARGEST_MB:
        raise DataError(f"{largest}: has {needed} MB and batch transform takes {LARGEST_MB}; make it smaller")
    return max(DEFAULT_MB, needed)


def describe(name: str, call: Call) -> Mapping[str, Any] | None:
    """DescribeTransformJob's answer, or None."""
    request = sagemaker("DescribeTransformJob", TransformJobName=name)
    return lookup(call, request)


def stop(name: str) -> Request:
    return sagemaker("StopTransformJob", TransformJobName=name)


def answers(settings: Settings, name: str, pictures: Iterable[str], call: Call) -> tuple[tuple[Answer, ...], list[str]]:
    """The answers that a job left, in the pictures' order, and the pictures that have none."""
    found, missing = [], []
    prefix = output(settings, name).removeprefix(f"s3://{settings.bucket}/")
    listing = s3("ListObjectsV2", Bucket=settings.bucket, Prefix=prefix)
    objects = pages(call, listing, items="Contents", token=("NextContinuationToken", "ContinuationToken"))
    there = {each["Key"].removeprefix(prefix) for each in objects}
    for picture in sorted(pictures):
        if f"{picture}.out" not in there:
            missing.append(picture)
            continue
        asked = {"Bucket": settings.bucket, "Key": f"{prefix}{picture}.out"}
        text = call(s3("GetObject", **asked))["Body"].read()
        found.append(answer(picture, text))
    return tuple(found), missing


def answer(picture: str, text: bytes) -> Answer:
    """A server's JSON answer to one picture."""
    top = json.loads(text)["predictions"][0]["top"]
    return Answer(picture=picture, predictions=tuple((each["label"], float(each["probability"])) for each in top))


def table(found: Sequence[Answer]) -> list[tuple[str, ...]]:
    """The rows under HEADINGS."""
    return [(each.picture, each.predictions[0][0], f"{each.predictions[0][1]:.4f}") for each in found]


def as_csv(found: Sequence[Answer]) -> str:
    """Every answer with all its labels: picture,label,probability,label_2,probability_2,…"""
    most = max((len(each.predictions) for each in found), default=1)
    names = [f"{name}{f'_{rank}' if rank > 1 else ''}" for rank in range(1, most + 1) for name in HEADINGS[1:]]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([HEADINGS[0], *names])
    for each in found:
        writer.writerow([each.picture, *(value for pair in each.predictions for value in pair)])
    return stream.getvalue()
