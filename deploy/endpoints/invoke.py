"""Calls an endpoint directly. Real-time and serverless endpoints answer at once; an async answer is polled for."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import Clock, lookup
from deploy.aws.requests import s3, sagemaker_runtime
from deploy.errors import DeployError
from deploy.values import Call, Request

LABELS, PROBABILITIES = "application/json", "application/json;form=probabilities"
ASYNC_S = 900.0  # rule 42: the default time for an answer; starting an instance may take longer


@dataclass(frozen=True, kw_only=True)
class Question:
    """A picture for an endpoint (its name on AWS), or for one of its variants; `accept` is the form of the answer."""

    endpoint: str
    picture: bytes
    media_type: str = "image/jpeg"
    variant: str = ""
    accept: str = LABELS

    @property
    def request(self) -> Request:
        more = {"TargetVariant": self.variant} if self.variant else {}
        params = {"EndpointName": self.endpoint, "Body": self.picture, **self._types, **more}
        return sagemaker_runtime("InvokeEndpoint", **params)

    def later(self, location: str) -> Request:
        """The request for an async endpoint, with the picture at an S3 URI."""
        params = {"EndpointName": self.endpoint, "InputLocation": location, **self._types}
        return sagemaker_runtime("InvokeEndpointAsync", **params)

    @property
    def _types(self) -> dict[str, str]:
        return {"ContentType": self.media_type, "Accept": self.accept}


def ask(question: Question, call: Call) -> Any:
    """The answer, decoded from JSON. Raises DeployError."""
    return json.loads(call(question.request)["Body"].read())


def ask_later(
    question: Question, call: Call, *, folder: str, clock: Clock, say: Callable[[str], None] = lambda _: None
) -> Any:
    """The answer of an async endpoint: uploads the picture below `folder` (an S3 URI) and polls for the answer.

    Raises DeployError for a failure, or when there is no answer in time.
    """
    location = f"{folder}/in/{hashlib.sha256(question.picture).hexdigest()[:32]}"
    call(_s3("PutObject", location, Body=question.picture, ContentType=question.media_type))
    sent = call(question.later(location))
    say(f"   {question.endpoint}: queued; the answer will be written to {sent['OutputLocation']}")
    until, pause = clock.now() + ASYNC_S, 0.2
    while clock.now() < until:
        if (output := lookup(call, _s3("GetObject", sent["OutputLocation"]))) is not None:
            return json.loads(output["Body"].read())
        failure = sent.get("FailureLocation")
        if failure and (output := lookup(call, _s3("GetObject", failure))) is not None:
            reason = output["Body"].read().decode(errors="replace")[:500]
            raise DeployError(f"{question.endpoint}: {reason}\n./inv logs {question.endpoint} shows more")
        clock.sleep(pause)
        pause = min(1.5 * pause, 5.0)
    raise DeployError(
        f"{question.endpoint}: no answer within {ASYNC_S:.0f} s (with autoscaling.min = 0 an instance starts first); "
        f"check {sent['OutputLocation']} later, or run ./inv why {question.endpoint}"
    )


def media_type(name: str) -> str:
    """The media type of a picture by its file's name; JPEG for an unknown one."""
    return mimetypes.guess_type(name)[0] or "image/jpeg"


def _s3(operation: str, uri: str, **params: Any) -> Request:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3(operation, Bucket=bucket, Key=key, **params)
