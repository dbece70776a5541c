"""Asking an endpoint directly: real-time and serverless ones answer, an async one is waited for."""

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
ASYNC_S = 900.0  # rule 42: the default time for an answer; waiting for an instance comes on top


@dataclass(frozen=True, kw_only=True)
class Question:
    """A picture for an endpoint (its name in AWS), or for one of its variants; `accept` says which answer."""

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
        """The same of an async endpoint, the picture at an S3 URI."""
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
    """The answer of an async endpoint: the picture goes to `folder` (an S3 URI), the answer is waited for.

    Raises DeployError for a failure, or when none has come in time.
    """
    location = f"{folder}/in/{hashlib.sha256(question.picture).hexdigest()[:32]}"
    call(_s3("PutObject", location, Body=question.picture, ContentType=question.media_type))
    sent = call(question.later(location))
    say(f"   {question.endpoint}: waits in its queue; the answer will be {sent['OutputLocation']}")
    until, pause = clock.now() + ASYNC_S, 0.2
    while clock.now() < until:
        if (found := lookup(call, _s3("GetObject", sent["OutputLocation"]))) is not None:
            return json.loads(found["Body"].read())
        failure = sent.get("FailureLocation")
        if failure and (found := lookup(call, _s3("GetObject", failure))) is not None:
            why = found["Body"].read().decode(errors="replace")[:500]
            raise DeployError(f"{question.endpoint}: {why}\n./inv logs {question.endpoint} shows more")
        clock.sleep(pause)
        pause = min(1.5 * pause, 5.0)
    raise DeployError(
        f"{question.endpoint}: no answer within {ASYNC_S:.0f} s; with autoscaling.min = 0 an instance starts first: "
        f"look again at {sent['OutputLocation']}, or see ./inv why {question.endpoint}"
    )


def media_type(name: str) -> str:
    """The media type of a picture by its file's name; JPEG when nothing tells."""
    return mimetypes.guess_type(name)[0] or "image/jpeg"


def _s3(operation: str, uri: str, **params: Any) -> Request:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3(operation, Bucket=bucket, Key=key, **params)
